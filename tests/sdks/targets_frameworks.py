"""Frameworks on top of the SDKs: langchain, llama-index, pydantic-ai, openai-agents."""

from __future__ import annotations

from typing import Any

from tests.sdks.target import KEY, Ask, Call, Target, joined

MODEL = "gpt-4o-mini"


def _langchain(ask: Ask) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=ask.model(MODEL), base_url=f"{ask.url}/v1", api_key=KEY)


def _langchain_anthropic(ask: Ask) -> Any:
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model=ask.model("claude-test"), base_url=ask.url, api_key=KEY)


def _langchain_embeddings(ask: Ask) -> Any:
    from langchain_openai import OpenAIEmbeddings

    # without the check: it would fetch a tokenizer
    return OpenAIEmbeddings(
        model=ask.model("e"), base_url=f"{ask.url}/v1", api_key=KEY, check_embedding_ctx_length=False
    )


def _invoke(model: Any, ask: Ask) -> str:
    return model.invoke(ask.text).text


def _stream(model: Any, ask: Ask) -> str:
    return "".join(chunk.text for chunk in model.stream(ask.text))


async def _ainvoke(model: Any, ask: Ask) -> str:
    return (await model.ainvoke(ask.text)).text


async def _astream(model: Any, ask: Ask) -> str:
    return await joined(model.astream(ask.text), lambda chunk: chunk.text)


def _embed(model: Any, ask: Ask) -> str:
    return str(model.embed_query(ask.text))


def _llama_index(ask: Ask) -> Any:
    from llama_index.llms.openai import OpenAI

    # the model's name must be one that the framework knows, so the scenario travels in a header
    headers = {"x-fake-scenario": ask.scenario}
    return OpenAI(model=MODEL, api_base=f"{ask.url}/v1", api_key=KEY, default_headers=headers)


def _llama_index_embeddings(ask: Ask) -> Any:
    from llama_index.embeddings.openai import OpenAIEmbedding

    return OpenAIEmbedding(api_base=f"{ask.url}/v1", api_key=KEY)


def _complete(model: Any, ask: Ask) -> str:
    return model.complete(ask.text).text


def _stream_complete(model: Any, ask: Ask) -> str:
    return "".join(part.delta for part in model.stream_complete(ask.text))


async def _acomplete(model: Any, ask: Ask) -> str:
    return (await model.acomplete(ask.text)).text


def _pydantic_ai(ask: Ask) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=f"{ask.url}/v1", api_key=KEY)
    return Agent(OpenAIChatModel(ask.model(MODEL), provider=provider))


async def _run(agent: Any, ask: Ask) -> str:
    return (await agent.run(ask.text)).output


async def _run_stream(agent: Any, ask: Ask) -> str:
    async with agent.run_stream(ask.text) as run:
        return await run.get_output()


def _model(ask: Ask) -> Any:
    import agents
    from openai import AsyncOpenAI

    agents.set_tracing_disabled(True)
    client = AsyncOpenAI(api_key=KEY, base_url=f"{ask.url}/v1")
    return agents.Agent(name="a", model=agents.OpenAIChatCompletionsModel(ask.model(MODEL), openai_client=client))


def _named(ask: Ask) -> Any:
    """An agent with a model's name, so that the client is the one that all such agents share."""
    import agents
    from agents.models import openai_provider

    agents.set_tracing_disabled(True)
    if openai_provider._http_client is not None and openai_provider._http_client.is_closed:
        openai_provider._http_client = None
    return agents.Agent(name="a", model=ask.model(MODEL))


async def _agent(agent: Any, ask: Ask) -> str:
    import agents

    provider = agents.OpenAIProvider(api_key=KEY, base_url=f"{ask.url}/v1", use_responses=False)
    config = agents.RunConfig(model_provider=provider)
    return (await agents.Runner.run(agent, ask.text, run_config=config)).final_output


async def _agent_stream(agent: Any, ask: Ask) -> str:
    import agents

    run = agents.Runner.run_streamed(agent, ask.text)
    events = [event async for event in run.stream_events() if event.type == "raw_response_event"]
    return "".join(event.data.delta for event in events if event.data.type == "response.output_text.delta")


OPENAI_ERROR = "openai.BadRequestError"

TARGETS = (
    Target(
        name="langchain-openai",
        needs=("langchain_openai",),
        make=_langchain,
        calls=(Call("invoke", _invoke), Call("stream", _stream)),
        error=OPENAI_ERROR,
    ),
    Target(
        name="langchain-openai-async",
        needs=("langchain_openai",),
        make=_langchain,
        calls=(Call("invoke", _ainvoke), Call("stream", _astream)),
        error=OPENAI_ERROR,
        asynchronous=True,
    ),
    Target(
        name="langchain-openai-embeddings",
        needs=("langchain_openai",),
        make=_langchain_embeddings,
        calls=(Call("embed", _embed, silent=True),),
        error=OPENAI_ERROR,
    ),
    Target(
        name="langchain-anthropic",
        needs=("langchain_anthropic",),
        make=_langchain_anthropic,
        calls=(Call("invoke", _invoke), Call("stream", _stream)),
        error="anthropic.BadRequestError",
    ),
    Target(
        name="langchain-anthropic-async",
        needs=("langchain_anthropic",),
        make=_langchain_anthropic,
        calls=(Call("invoke", _ainvoke), Call("stream", _astream)),
        error="anthropic.BadRequestError",
        asynchronous=True,
    ),
    Target(
        name="llama-index",
        needs=("llama_index.llms.openai",),
        make=_llama_index,
        calls=(Call("complete", _complete), Call("stream", _stream_complete)),
        error=OPENAI_ERROR,
    ),
    Target(
        name="llama-index-async",
        needs=("llama_index.llms.openai",),
        make=_llama_index,
        calls=(Call("complete", _acomplete),),
        error=OPENAI_ERROR,
        asynchronous=True,
    ),
    Target(
        name="llama-index-embeddings",
        needs=("llama_index.embeddings.openai",),
        make=_llama_index_embeddings,
        calls=(Call("embed", lambda model, ask: str(model.get_text_embedding(ask.text)), silent=True),),
        error=OPENAI_ERROR,
    ),
    Target(
        name="pydantic-ai",
        needs=("pydantic_ai",),
        make=_pydantic_ai,
        calls=(Call("run", _run), Call("stream", _run_stream)),
        error="pydantic_ai.exceptions.ModelHTTPError",
        asynchronous=True,
    ),
    Target(
        name="openai-agents",
        needs=("agents",),
        make=_model,
        calls=(Call("run", _agent), Call("stream", _agent_stream)),
        error=OPENAI_ERROR,
        asynchronous=True,
    ),
    Target(
        name="openai-agents-shared",
        needs=("agents",),
        make=_named,
        calls=(Call("run", _agent),),
        error=OPENAI_ERROR,
        asynchronous=True,
    ),
)
