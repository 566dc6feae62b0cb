"""Answers `pulumi import` for resources of this package; loaded at the start of every plugin process.

To import a resource, the engine calls ``Read`` with only an id. The SDK looks for the provider in the resource's
properties. There are no properties, so it fails before any code of this package is called. For this reason the
package's ``.pth`` file loads this module in processes of ``pulumi.dynamic``, and in no other processes.
"""

from contextlib import suppress
from typing import Any, Final

_TYPES: Final = "pulumi-python:dynamic/rtcai:"
_HOW: Final = {
    "Room": "rtcai_pulumi: a room cannot be imported by an id; Room(…, adopt_existing=True) adopts an open room.",
    "": "rtcai_pulumi: an agent cannot be imported, because the service has no query of tasks; "
    "RealtimeConversation(…, adopt='cid/taskId') adopts a running one.",
}


def _answer_imports() -> None:
    import grpc  # noqa: PLC0415  the process needs both, but nothing may fail here
    from pulumi.runtime.proto import provider_pb2_grpc  # noqa: PLC0415

    add = provider_pb2_grpc.add_ResourceProviderServicer_to_server

    def add_with_answer(servicer: Any, server: Any) -> None:
        read = servicer.Read

        def answer(request: Any, context: Any) -> Any:
            named = request.urn.partition(_TYPES)[2]
            if named and not request.properties.fields and not request.inputs.fields:
                how = _HOW.get(named.partition("::")[0], _HOW[""])
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, how)
            return read(request, context)

        servicer.Read = answer
        add(servicer, server)

    provider_pb2_grpc.add_ResourceProviderServicer_to_server = add_with_answer


with suppress(Exception):  # if this fails, an import fails as for any other dynamic provider
    _answer_imports()
