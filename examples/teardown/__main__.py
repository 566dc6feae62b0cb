"""Two rooms of an event that is over soon."""

from rtcai_pulumi import Agent, RealtimeConversation

for name in ("main-stage", "workshop"):
    RealtimeConversation(name, cname=name, agent=Agent(agent_id="my-agent", user_id="9527"))
