"""The roles of the language model (API page, "LLM 角色")."""

from enum import IntEnum


class Role(IntEnum):
    """Who the agent is: `CUSTOM` with a prompt of your own, or one of the service's own prompts."""

    CUSTOM = 0
    """Your own prompt: `custom_prompt`, or `custom_prompt_key_word` with `custom_prompt_format`."""
    VOICE_ASSISTANT = 1
    """语音助手, the service's default."""
    CHINESE_TEACHER = 2
    """中文老师"""
    ENGLISH_TEACHER = 3
    """英文老师"""
    DOCTOR = 4
    """医生"""
    DIRECTOR = 5
    """导演"""
    COUNSELOR = 6
    """心理咨询师"""
    CHILD_EDUCATION_EXPERT = 7
    """儿童教育专家"""
    LIVE_COMMERCE_HOST = 8
    """电商带货主播"""
    PRODUCT_PRESENTER = 9
    """产品介绍员"""
    BANK_CLERK = 10
    """银行业务办理员"""
    MEETING_HOST = 11
    """会议主持人"""
    NEWS_HOST = 12
    """新闻主持人"""
    ZHUGE_LIANG = 13
    """诸葛亮"""
    GIRLFRIEND_XIAOLE = 14
    """女友小乐"""
