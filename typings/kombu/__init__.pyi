from typing import Any

from kombu.transport.pyamqp import Transport

class Connection:
    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]
    def __init__(
        self,
        hostname: str = ...,
        userid: str | None = ...,
        password: str | None = ...,
        virtual_host: str | None = ...,
        port: int | None = ...,
        ssl: bool | dict[str, Any] = ...,
        transport: type[Transport] | None = ...,
        connect_timeout: float = ...,
        transport_options: dict[str, Any] | None = ...,
        login_method: str | None = ...,
        heartbeat: float = ...,
    ) -> None: ...
    @property
    def transport(self) -> Transport: ...
