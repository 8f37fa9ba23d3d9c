"""Which server is asked, how fast, and for how much: the options that every teacher behind an endpoint shares."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from distill.spec import Part


class EndpointOptions(Part):
    """An OpenAI-compatible server (OpenAI, vLLM, llama.cpp, TGI, Ollama, `transformers serve`)."""

    base_url: str = Field("https://api.openai.com/v1", description="Address up to and without /chat/completions.")
    model: str = Field(min_length=1, max_length=300, description="Name of the model, as the server calls it.")
    api_key_env: str = Field(
        "OPENAI_API_KEY",
        description="Environment variable that holds the key, never the key itself. Empty for a server without keys.",
    )
    api: Literal["chat", "completions"] = Field("chat", description="Which of the two APIs the server speaks.")
    licence: str = Field("", description="Terms under which its answers may train a model, for the report.")
    top_logprobs: int = Field(
        20, ge=0, le=100, description="Log-probabilities asked for at each token; 0 asks for none. OpenAI gives 20."
    )
    other_model: Literal["stop", "warn"] = Field(
        "stop", description="What to do when the server answers with another model than was asked for."
    )
    concurrency: int = Field(8, ge=1, le=256, description="Requests under way at the same time.")
    requests_per_minute: float | None = Field(None, gt=0, description="Not more than this; the server's own limit.")
    timeout: float = Field(60.0, gt=0, le=3600, description="Seconds to wait for one answer.")
    attempts: int = Field(6, ge=1, le=50, description="Tries for one question before the run stops.")
    budget_tokens: int | None = Field(
        1_000_000, ge=1, description="Stop before this many tokens, prompts and answers together."
    )
    budget_usd: float | None = Field(None, gt=0, description="Stop before this much money; needs both prices.")
    usd_per_million_in: float = Field(0.0, ge=0, description="Price of a million prompt tokens.")
    usd_per_million_out: float = Field(0.0, ge=0, description="Price of a million tokens of answers.")
    day: str = Field(
        "",
        description="Use again what was answered on this day, such as 2026-11-24; the day of the first question when empty.",
    )

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        try:
            address = urlsplit(value)
            known = address.scheme in ("http", "https") and bool(address.hostname) and (address.port or 1) > 0
        except ValueError:
            known = False
            address = urlsplit("")
        # an address with a password or a query would carry the key into spec, log and report; the message must not repeat it
        if address.username or address.password or address.query or address.fragment:
            raise ValueError(
                "the address may hold no user, password, query or fragment: the key belongs in api_key_env"
            )
        if not known:
            raise ValueError("the address must look like https://host/v1")
        return value.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _names_a_variable(cls, value: str) -> str:
        # keys of several providers have small letters and no dash, so capitals are asked for; the message must not repeat the value
        if value and not re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
            raise ValueError(
                "api_key_env names an environment variable, such as OPENAI_API_KEY (capitals, digits and '_'); the key itself has no "
                "place in a spec"
            )
        return value

    @field_validator("day")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        if value and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            raise ValueError("a day is written such as 2026-11-24")
        return value

    @model_validator(mode="after")
    def _priced(self) -> EndpointOptions:
        if self.budget_usd is not None and not (self.usd_per_million_in or self.usd_per_million_out):
            raise ValueError("a budget in money needs the prices usd_per_million_in and usd_per_million_out")
        return self

    @property
    def host(self) -> str:
        """Host and port."""
        address = urlsplit(self.base_url)
        return f"{address.hostname}:{address.port}" if address.port else str(address.hostname)

    @property
    def readable_key(self) -> bool:
        """True when a key would travel unencrypted beyond this machine."""
        address = urlsplit(self.base_url)
        return address.scheme == "http" and not _own_machine(str(address.hostname))

    def usd(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Price of so many tokens."""
        return (prompt_tokens * self.usd_per_million_in + answer_tokens * self.usd_per_million_out) / 1e6


def _own_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
