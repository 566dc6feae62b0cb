"""The blocks of the create body, field by field in the order of the API page.

Source: the page "开启实时对话" (2025-10-13), section "请求体参数". Each field is defined only here: its type, range and
default serve the program's types, validation, the JSON Schema, the request and the reference.

A default is the one that the service documents. It is never sent unless the program sets it: it only lets `diff` know
that setting it changes nothing. ``None`` means that no default is documented.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Annotated, Literal

from pydantic import Field

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.setting import BlockSetting, Integer, Setting


class Agent(Block):
    """A Yunxin agent that provides all settings (block ``agent``, mode *agent*): no other block is allowed with it."""

    agent_id: Setting[str] = Field(min_length=1)
    """Id of the Yunxin agent. Required."""
    user_id: Setting[str] = Field(min_length=1)
    """Id of the user of the Yunxin agent; a string even if it looks like a number, as in ``"9527"``. Required."""


class Asr(Block):
    """Automatic speech recognition (block ``asr``)."""

    asr_vendor: Setting[Integer] = Field(default=None)
    """Number of the ASR supplier; the samples use 6. Unknown numbers are accepted. Required in mode *parameters*."""
    src_lan: Setting[str] = Field(default="AUTO")
    """Source language. Default ``"AUTO"``."""
    max_sentence_silence: Setting[Integer] = Field(default=0, ge=0)
    """Silence that ends a sentence, in milliseconds, 0 or more. Default 0: the service decides."""
    enable_custom_appkey: Setting[bool] = Field(default=False)
    """Use your own account with the ASR supplier. Default false."""
    enable_semantic_vad: Setting[bool] = Field(default=False)
    """Split sentences by their meaning. Default false."""
    vocabulary_id: Setting[str] = Field(default="")
    """Id of a list of hot words. Default empty."""


class RealTimeParam(Block):
    """Settings of the real-time voice mode (block ``llm.realTimeParam``)."""

    vad_threshold: Setting[float] = Field(default=0.5, gt=0, lt=1)
    """Voice activity threshold, more than 0 and less than 1: sound above it counts as speech. Default 0.5."""
    vad_silence_duration: Setting[Integer] = Field(default=500, ge=0)
    """Silence that ends a sentence, in milliseconds, 0 or more. Default 500."""
    voice: Setting[str] = Field(default=None)
    """Voice of the real-time model; the possible values depend on `Llm.llm_vendor`."""


class AgentParam(Block):
    """The agent of mode *agent+parameters* (block ``llm.agentParam``); set `agent_id` and `user_id`."""

    agent_vendor: Setting[Integer] = Field(default=None)
    """Number of the agent's supplier; the samples use 1 with a Yunxin agent. Unknown numbers are accepted."""
    user_id: Setting[str] = Field(default=None)
    """The end user who talks to the agent."""
    agent_id: Setting[str] = Field(default=None)
    """Id of the agent."""


class Llm(Block):
    """The large language model and its role (block ``llm``)."""

    llm_vendor: Setting[Integer] = Field(default=None)
    """Number of the LLM supplier; the samples use 1. Unknown numbers are accepted. Required in mode *parameters*."""
    role: Setting[Integer] = Field(default=1, ge=0, le=14)
    """`Role`, 0 to 14: 0 for your own prompt, any other for one of the service's prompts. Default 1. With your own
    prompt, set 0: what the service does with another role, or without one, is not documented."""
    custom_prompt: Setting[str] = Field(default=None)
    """Your own complete prompt. Not together with `role` 1 to 14."""
    custom_prompt_key_word: Setting[Mapping[str, Setting[str]]] = Field(default=None)
    """Keywords for `custom_prompt_format`: names of your choice, each with its text."""
    custom_prompt_format: Setting[str] = Field(default=None)
    """Template of your own prompt; the service replaces each placeholder ``{{keyword}}`` by the text of the keyword."""
    temperature: Setting[float] = Field(default=0.8, ge=0, le=1)
    """Temperature, 0 to 1. Default 0.8."""
    context_size: Setting[Integer] = Field(default=3, ge=1, le=20)
    """How many turns of context the model receives, 1 to 20. Default 3."""
    enable_vision: Setting[bool] = Field(default=False)
    """Let the model see video. Default false."""
    enable_web_search: Setting[bool] = Field(default=None)
    """Let the model search the web. It appears only in the samples of the API page: no default is documented, so
    leaving it out and setting false are different."""
    enable_realtime: Setting[bool] = Field(default=False)
    """Real-time voice mode. Default false."""
    real_time_param: BlockSetting[RealTimeParam] = Field(default=None)
    """Settings of the real-time voice mode."""
    enable_agent: Setting[bool] = Field(default=False)
    """Mode *agent+parameters*: settings that the blocks leave out come from an agent. Needs `agent_param`. Default
    false."""
    agent_param: BlockSetting[AgentParam] = Field(default=None)
    """The agent of mode *agent+parameters*."""
    enable_custom_appkey: Setting[bool] = Field(default=False)
    """Use your own account with the LLM supplier. Default false."""


class Tts(Block):
    """Text to speech (block ``tts``)."""

    tts_vendor: Setting[Integer] = Field(default=None)
    """Number of the TTS supplier; the samples use 6. Unknown numbers are accepted. Required in mode *parameters*."""
    voice: Setting[str] = Field(default=None)
    """Name of the voice, or the id of a cloned voice."""
    language: Setting[Literal["Chinese", "English"]] = Field(default=None)
    """Language of the speech."""
    gender: Setting[Literal["Female", "Male"]] = Field(default=None)
    """Gender of the voice."""
    speed: Setting[float] = Field(default=1, ge=0.8, le=2)
    """Speed of the speech, 0.8 to 2. Default 1."""
    volume: Setting[float] = Field(default=1, ge=0.5, le=2)
    """Volume of the speech, 0.5 to 2. Default 1."""
    ignore_bracket_text_set: Setting[Sequence[Setting[Integer]]] = Field(default=None)
    """Kinds of brackets whose text is not spoken, as in ``[1, 2]``; the order does not matter. Unknown numbers are
    accepted."""
    enable_custom_appkey: Setting[bool] = Field(default=False)
    """Use your own account with the TTS supplier. Default false."""


class Pipeline(Block):
    """How the conversation runs (block ``pipeline``)."""

    interrupt_mode: Setting[Integer] = Field(default=2)
    """How a user interrupts the agent; 4: by `interrupt_words`. Unknown numbers are accepted. Default 2."""
    interrupt_words: Setting[Sequence[Setting[Annotated[str, Field(min_length=1)]]]] = Field(default=None)
    """Words that interrupt the agent; the order does not matter. At least one if `interrupt_mode` is 4."""
    enable_welcome_message: Setting[bool] = Field(default=True)
    """Greet the people in the room. Default true."""
    welcome_message: Setting[str] = Field(default="")
    """The greeting. Default empty: the service chooses one if `enable_welcome_message` is true."""


class Role(IntEnum):
    """The role of the agent: `CUSTOM` with your own prompt, or one of the service's prompts."""

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
