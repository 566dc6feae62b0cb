"""Two rooms of a live event. The host's agent is changed without a gap; the other room is not affected."""

import pulumi

from rtcai_pulumi import Asr, Llm, RealtimeConversation, Tts

config = pulumi.Config()

for name in ("host", "help-desk"):
    RealtimeConversation(
        name,
        cname=name,
        asr=Asr(asr_vendor=6),
        llm=Llm(llm_vendor=1),
        tts=Tts(tts_vendor=6, speed=config.get_float("speed") or 1.0),
        # The new agent starts before the old one stops: the room always has an agent, for a moment two.
        replace_strategy="start-first",
    )
