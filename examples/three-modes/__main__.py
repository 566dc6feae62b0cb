"""One room for each of the three ways to call the service."""

import pulumi

from rtcai_pulumi import Agent, AgentParam, Asr, Llm, RealtimeConversation, Tts

# Mode "parameters": every setting is set here.
configured = RealtimeConversation(
    "configured", cname="configured", asr=Asr(asr_vendor=6), llm=Llm(llm_vendor=1), tts=Tts(tts_vendor=6)
)

# Mode "agent": a Yunxin agent provides every setting.
ready_made = RealtimeConversation("ready-made", cname="ready-made", agent=Agent(agent_id="my-agent", user_id="9527"))

# Mode "agent+parameters": omitted settings come from the agent.
adapted = RealtimeConversation(
    "adapted",
    cname="adapted",
    llm=Llm(enable_agent=True, agent_param=AgentParam(agent_vendor=1, agent_id="my-agent", user_id="9527")),
    tts=Tts(tts_vendor=6, speed=1.2),
)

for conversation in (configured, ready_made, adapted):
    pulumi.export(conversation.pulumi_resource_name, conversation.mode)
