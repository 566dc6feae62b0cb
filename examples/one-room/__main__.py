"""One room with one AI agent: the smallest program."""

import pulumi

from rtcai_pulumi import Asr, Llm, Pipeline, RealtimeConversation, Role, Tts

host = RealtimeConversation(
    "keynote-host",
    cname="keynote",
    asr=Asr(asr_vendor=6),
    llm=Llm(llm_vendor=1, role=Role.MEETING_HOST),
    tts=Tts(tts_vendor=6, voice="zh_female_qingxinnvsheng_mars_bigtts"),
    pipeline=Pipeline(welcome_message="您好"),
)
pulumi.export("task", host.task_id)
