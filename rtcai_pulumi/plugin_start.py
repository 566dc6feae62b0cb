"""Answers `pulumi import` for resources of this package; loaded at the start of every plugin process.

To import a resource, the engine calls ``Read`` with only an id. The SDK looks for the provider in the resource's
properties. An import has no properties, so it fails before any code of this package is called. For this reason the
package's ``.pth`` file loads this module in processes of ``pulumi.dynamic``, and in no other processes.
"""

from contextlib import suppress
from typing import Any, Final

_TYPES: Final = "pulumi-python:dynamic/rtcai:"


def _answer_imports() -> None:
    import grpc  # noqa: PLC0415  the process needs both, but nothing may fail here
    from pulumi.runtime.proto import provider_pb2_grpc  # noqa: PLC0415  as above

    add = provider_pb2_grpc.add_ResourceProviderServicer_to_server

    def add_with_answer(servicer: Any, server: Any) -> None:
        read = servicer.Read

        def answer(request: Any, context: Any) -> Any:
            named = request.urn.partition(_TYPES)[2]
            if named and not request.properties.fields and not request.inputs.fields:
                # Only here, because every plugin process loads this module, also for other packages' resources.
                from rtcai_pulumi.config.rules import (  # noqa: PLC0415  as above
                    HOW_TO_ADOPT_A_ROOM,
                    HOW_TO_ADOPT_AN_AGENT,
                )

                is_room = named.partition("::")[0] == "Room"
                how = HOW_TO_ADOPT_A_ROOM if is_room else HOW_TO_ADOPT_AN_AGENT
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"rtcai_pulumi: {how}")
            return read(request, context)

        servicer.Read = answer
        add(servicer, server)

    provider_pb2_grpc.add_ResourceProviderServicer_to_server = add_with_answer


with suppress(Exception):  # if this fails, an import fails as for any other dynamic provider
    _answer_imports()
