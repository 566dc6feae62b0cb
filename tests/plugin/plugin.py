"""The real plugin process, called over gRPC as the engine calls it."""

import os
import socketserver
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2 as messages
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub
from pulumi.runtime.rpc import UNKNOWN

from rtcai_pulumi.provider import ConversationProvider

__all__ = ["UNKNOWN", "Plugin", "running_plugin"]

REFERENCE = serialize_provider(ConversationProvider())
URN = "urn:pulumi:test::rooms::pulumi-python:dynamic/rtcai:RealtimeConversation::host"


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties as they are sent: every number is a float, an unknown value is the engine's mark."""
    made = struct_pb2.Struct()
    json_format.ParseDict({**values, "__provider": REFERENCE}, made)
    return made


def plain(values: struct_pb2.Struct) -> dict[str, Any]:
    """Properties as Python values, without the reference to the provider."""
    found: dict[str, Any] = json_format.MessageToDict(values)
    return {name: value for name, value in found.items() if name != "__provider"}


class Plugin:
    """One method for each verb. An error of the plugin is raised as `grpc.RpcError`."""

    def __init__(self, channel: grpc.Channel, process: "subprocess.Popen[str]") -> None:
        self._stub = ResourceProviderStub(channel)
        self._process = process

    def kill(self) -> None:
        """`kill -9`: callers that wait for an answer get none."""
        self._process.kill()
        self._process.wait()

    def configure(self, **config: str) -> None:
        self._stub.Configure(messages.ConfigureRequest(args=struct_pb2.Struct(fields=_strings(config))))

    def check(self, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
        request = messages.CheckRequest(urn=URN, olds=struct(olds or {}), news=struct(news))
        return [(failure.property, failure.reason) for failure in self._stub.Check(request).failures]

    def checked_inputs(self, news: Mapping[str, Any]) -> dict[str, Any]:
        return plain(self._stub.Check(messages.CheckRequest(urn=URN, olds=struct({}), news=struct(news))).inputs)

    def diff(self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> messages.DiffResponse:
        answer: messages.DiffResponse = self._stub.Diff(
            messages.DiffRequest(id=id_, urn=URN, olds=struct(olds), news=struct(news))
        )
        return answer

    def create(self, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Create(messages.CreateRequest(urn=URN, properties=struct(inputs)))
        return answer.id, plain(answer.properties)

    def read(self, id_: str, outputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Read(messages.ReadRequest(id=id_, urn=URN, properties=struct(outputs)))
        return answer.id, plain(answer.properties)

    def update(self, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        request = messages.UpdateRequest(id=id_, urn=URN, olds=struct(olds), news=struct(news))
        return plain(self._stub.Update(request).properties)

    def delete(self, id_: str, outputs: Mapping[str, Any]) -> None:
        self._stub.Delete(messages.DeleteRequest(id=id_, urn=URN, properties=struct(outputs)))


def _strings(values: Mapping[str, str]) -> dict[str, struct_pb2.Value]:
    return {name: struct_pb2.Value(string_value=value) for name, value in values.items()}


@contextmanager
def running_plugin(journal: Path, **environment: str) -> Iterator[Plugin]:
    """The process that the engine starts for dynamic providers, until the end of the block.

    For the process, the engine is alive: a socket accepts connections at the address in its first argument.
    """
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as engine:
        Thread(target=engine.serve_forever, daemon=True).start()
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pulumi.dynamic", f"127.0.0.1:{engine.server_address[1]}"],
            env={"PATH": os.environ["PATH"], "RTCAI_JOURNAL": str(journal), **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            port = process.stdout.readline().strip()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                try:
                    yield Plugin(channel, process)
                finally:
                    process.terminate()
                    process.wait(timeout=30)
                    engine.shutdown()
