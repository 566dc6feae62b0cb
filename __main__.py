"""The program that `make up` runs: three rooms, one for each way to call the service.

With a room of your own (`pulumi config set room NAME`, or `make up` with your credentials) it starts one agent there.
"""

import pulumi

from rtcai_pulumi import Agent, AgentParam, Asr, Llm, Pipeline, RealtimeConversation, Role, Tts

asr = Asr(
    asr_vendor=6,
    src_lan="AUTO",
    max_sentence_silence=500,
    enable_semantic_vad=False,
    vocabulary_id="yourVocabularyId",
)
llm = Llm(
    llm_vendor=1,
    role=Role.VOICE_ASSISTANT,
    temperature=0.8,
    context_size=10,
    enable_vision=True,
    enable_web_search=True,
)
tts = Tts(
    tts_vendor=6,
    voice="zh_female_qingxinnvsheng_mars_bigtts",
    language="Chinese",
    gender="Female",
    speed=1.2,
    volume=1.0,
    ignore_bracket_text_set=[1, 2],
)
pipeline = Pipeline(
    interrupt_mode=4,
    interrupt_words=["停止", "打断"],
    enable_welcome_message=True,
    welcome_message="您好,我是 AI 助手,很高兴为您服务",
)

own_room = pulumi.Config().get("room")

# Mode "parameters": every setting is set here.
conversations = [
    RealtimeConversation(
        "parameters",
        cname=own_room or "demo-parameters",
        asr=asr,
        llm=llm,
        tts=tts,
        pipeline=pipeline,
    )
]

if own_room is None:
    conversations += [
        # Mode "agent": a Yunxin agent brings every setting with it.
        RealtimeConversation(
            "agent",
            cname="demo-agent",
            agent=Agent(agent_id="a261501186xxxxxxcba", user_id="9527"),
        ),
        # Mode "agent+parameters": what is left out here comes from the agent.
        RealtimeConversation(
            "agent-and-parameters",
            cname="demo-agent-and-parameters",
            asr=asr,
            llm=Llm(
                llm_vendor=1,
                role=Role.VOICE_ASSISTANT,
                temperature=0.8,
                context_size=10,
                enable_vision=True,
                enable_web_search=True,
                enable_agent=True,
                agent_param=AgentParam(agent_vendor=1, agent_id="a261501186xxxxxxcba", user_id="9527"),
            ),
            tts=tts,
            pipeline=pipeline,
        ),
    ]

pulumi.export("tasks", [conversation.task_id for conversation in conversations])
