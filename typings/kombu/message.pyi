from typing import Any

class Message:
    body: bytes
    content_type: Any
    headers: dict[Any, Any]
    properties: dict[str, Any]
    delivery_info: dict[str, Any]
