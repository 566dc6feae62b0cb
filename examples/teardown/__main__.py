"""Two rooms of an event that will soon be over."""

from rtcai_pulumi import Agent, RealtimeConversation

for name in ("main-stage", "workshop"):
    RealtimeConversation(name, cname=name, agent=Agent(agent_id="my-agent", user_id="9527"))
