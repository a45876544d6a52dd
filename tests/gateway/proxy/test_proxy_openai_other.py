"""The official client's embeddings, images, sound and files against the real proxy over real sockets."""

import json

import openai
import pytest

pytestmark = pytest.mark.anyio

PICTURE = "iVBORw0KGgo" * 20


@pytest.fixture
async def client():
    """The official client on a proxy, closed in the end."""
    opened = []

    def opens(plane):
        opened.append(openai.AsyncOpenAI(base_url=f"{plane.url}/v1", api_key="sk-test", max_retries=0, timeout=10))
        return opened[-1]

    yield opens
    for one in opened:
        await one.close()


def answers(plane, body, content_type="application/json"):
    """Let the upstream answer with this body."""
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()

    async def handler(peer, _request):
        await peer.whole(raw, headers=f"content-type: {content_type}\r\n")

    plane.upstream.handler = handler


def events(plane, *bodies):
    """Let the upstream stream these events."""

    async def handler(peer, _request):
        await peer.start_stream()
        for body in bodies:
            await peer.chunk(b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n")
        await peer.end_stream()

    plane.upstream.handler = handler


async def is_blocked(call):
    """Wait for a call that must end with the error form; the error."""
    with pytest.raises(openai.BadRequestError) as raised:
        await call
    assert raised.value.code == "content_filter"
    return raised.value


async def test_embeddings(plane, client):
    """Texts are judged, one or many; vectors pass as they are; token numbers cannot be read, so the policy decides."""
    vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
    answers(plane, {"object": "list", "data": [vector], "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    embeddings = client(plane).embeddings
    found = await embeddings.create(model="m", input=["你好", "天气"], encoding_format="float")
    assert found.data[0].embedding == [0.25, -0.5]
    await is_blocked(embeddings.create(model="m", input="炸药"))
    await is_blocked(embeddings.create(model="m", input=["你好", "炸药"]))
    assert len(plane.upstream.requests) == 1
    await embeddings.create(model="m", input=["你这傻瓜"], encoding_format="float")
    assert json.loads(plane.upstream.requests[-1].body)["input"] == ["你这**"]
    with pytest.raises(openai.BadRequestError) as raised:
        await embeddings.create(model="m", input=[[1, 2, 3]])
    assert raised.value.code == "content_filter"


async def test_embeddings_in_base64(plane, client):
    """Vectors in base64 are no text."""
    answers(plane, {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": "AACAPg" * 20}]})
    found = await client(plane).embeddings.with_raw_response.create(model="m", input="你好")
    assert found.headers["x-sluice-coverage"] == "full"


async def test_images(plane, client):
    """Prompts and revised prompts are judged; the picture is not read, and the answer says so."""
    answers(plane, {"created": 1, "data": [{"b64_json": PICTURE, "revised_prompt": "一个傻瓜在海边"}]})
    images = client(plane).images
    raw = await images.with_raw_response.generate(model="m", prompt="海边的月亮")
    assert raw.headers["x-sluice-coverage"] == "partial"
    made = raw.parse()
    assert (made.data[0].revised_prompt, made.data[0].b64_json) == ("一个**在海边", PICTURE)
    await is_blocked(images.generate(model="m", prompt="画炸药"))
    await is_blocked(images.edit(model="m", image=("海.png", b"\x89PNG"), prompt="画炸药"))
    assert len(plane.upstream.requests) == 1
    answers(plane, {"created": 1, "data": [{"b64_json": PICTURE, "revised_prompt": "炸药"}]})
    await is_blocked(images.generate(model="m", prompt="月亮"))


async def test_images_follow_the_media_policy(kit, client):
    """With `media: block` no picture passes, whole or streamed."""
    async with kit.running({"media": "block"}) as plane:
        answers(plane, {"created": 1, "data": [{"b64_json": PICTURE}]})
        await is_blocked(client(plane).images.generate(model="m", prompt="月亮"))
        events(plane, {"type": "image_generation.partial_image", "b64_json": PICTURE, "partial_image_index": 0})
        with pytest.raises(openai.APIError):
            async for _ in await client(plane).images.generate(model="m", prompt="月亮", stream=True):
                pass


async def test_streamed_images(plane, client):
    """Pictures on their way reach the client."""
    events(
        plane,
        {"type": "image_generation.partial_image", "b64_json": PICTURE, "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": PICTURE},
    )
    got = [event.type async for event in await client(plane).images.generate(model="m", prompt="月亮", stream=True)]
    assert got == ["image_generation.partial_image", "image_generation.completed"]


async def test_speech(kit, client):
    """What is to be spoken is judged; the sound follows the policy's `media`, not its `unknown`."""
    async with kit.running() as plane:
        answers(plane, b"ID3\x04\x00", "audio/mpeg")
        raw = await client(plane).audio.speech.with_raw_response.create(model="m", voice="alloy", input="你好")
        assert (raw.content, raw.headers["x-sluice-coverage"]) == (b"ID3\x04\x00", "partial")
        await is_blocked(client(plane).audio.speech.create(model="m", voice="alloy", input="炸药"))
        await is_blocked(client(plane).audio.speech.create(model="m", voice="a", input="好", instructions="炸药"))
    async with kit.running({"media": "block"}) as plane:
        answers(plane, b"ID3\x04\x00", "audio/mpeg")
        await is_blocked(client(plane).audio.speech.create(model="m", voice="alloy", input="你好"))


# The client calls translations deprecated; they are asked for all the same.
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_transcription(plane, client):
    """A transcript is judged in every form; a mask reaches text and segments, and the words go."""
    sound = ("会议.wav", b"RIFF\x00\x00")
    segment = {"id": 0, "start": 0.0, "end": 1.0, "text": "你这傻"}
    verbose = {
        "task": "transcribe",
        "language": "zh",
        "duration": 2.0,
        "text": "你这傻瓜",
        "segments": [segment, {**segment, "id": 1, "text": "瓜"}],
        "words": [{"word": "傻", "start": 0.0, "end": 0.5}, {"word": "瓜", "start": 0.5, "end": 1.0}],
    }
    transcriptions = client(plane).audio.transcriptions
    answers(plane, verbose)
    found = await transcriptions.create(model="m", file=sound, response_format="verbose_json")
    assert (found.text, [one.text for one in found.segments], found.words) == ("你这**", ["你这*", "*"], [])
    answers(plane, "1\n00:00:00,000 --> 00:00:01,000\n你这傻瓜\n".encode(), "text/plain; charset=utf-8")
    assert "你这**" in await transcriptions.create(model="m", file=sound, response_format="srt")
    answers(plane, {"text": "炸药"})
    await is_blocked(transcriptions.create(model="m", file=sound))
    await is_blocked(client(plane).audio.translations.create(model="m", file=sound))
    await is_blocked(transcriptions.create(model="m", file=sound, prompt="炸药"))
    assert plane.upstream.requests[0].body.count(b"RIFF") == 1


async def test_streamed_transcription(plane, client):
    """A term cut across two events: what was before it is printed, then the client raises the API's error."""
    transcriptions = client(plane).audio.transcriptions
    done = {"type": "transcript.text.done", "text": "你这傻瓜好"}
    events(plane, *({"type": "transcript.text.delta", "delta": piece} for piece in ("你这傻", "瓜", "好")), done)
    stream = await transcriptions.create(model="m", file=("a.wav", b"RIFF"), stream=True)
    got = [event async for event in stream]
    assert ["".join(event.delta for event in got[:-1]), got[-1].text] == ["你这**好"] * 2
    events(plane, *({"type": "transcript.text.delta", "delta": piece} for piece in ("他买了炸", "药")), done)
    printed = ""

    async def read():
        nonlocal printed
        async for event in await transcriptions.create(model="m", file=("a.wav", b"RIFF"), stream=True):
            printed += event.delta

    with pytest.raises(openai.APIError) as raised:
        await read()
    print(f"openai printed: {printed!r}, then {raised.value.code}")  # noqa: T201 - shown with -s
    assert (printed, raised.value.code) == ("他买了", "content_filter")


def batch(*texts):
    """A batch file with one chat request for each text."""
    lines = [
        {
            "custom_id": f"r{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": text}]},
        }
        for number, text in enumerate(texts)
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


async def test_batch_upload(plane, client):
    """Every line of a batch is read as the request that it is; one that is blocked blocks the upload, by its number."""
    stored = {"id": "file-1", "object": "file", "bytes": 9, "created_at": 1, "filename": "b.jsonl", "purpose": "batch"}
    answers(plane, {**stored, "status": "processed"})
    files = client(plane).files
    raw = await files.with_raw_response.create(file=("b.jsonl", batch("你好", "天气")), purpose="batch")
    assert raw.headers["x-sluice-coverage"] == "full"
    assert batch("你好", "天气") in plane.upstream.requests[-1].body
    error = await is_blocked(files.create(file=("b.jsonl", batch("你好", "天气", "炸药")), purpose="batch"))
    assert (error.param, error.body["line"]) == ("file", 3)
    assert "line 3" in error.message
    assert len(plane.upstream.requests) == 1
    await files.create(file=("b.jsonl", batch("你好", "你这傻瓜")), purpose="batch")
    assert batch("你好", "你这**").replace(b" ", b"") in plane.upstream.requests[-1].body.replace(b" ", b"")
    with pytest.raises(openai.BadRequestError) as raised:
        await files.create(file=("b.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}\n'), purpose="batch")
    assert raised.value.code == "ambiguous_json"
    assert "line 2" in raised.value.message


async def test_other_uploads_follow_the_media_policy(kit, client):
    """A file that is no JSON lines is not read; its name is."""
    async with kit.running() as plane:
        answers(plane, {"id": "file-1", "object": "file"})
        raw = await client(plane).files.with_raw_response.create(file=("a.pdf", b"%PDF-1.7"), purpose="user_data")
        assert raw.headers["x-sluice-coverage"] == "partial"
        await is_blocked(client(plane).files.create(file=("炸药.pdf", b"%PDF"), purpose="user_data"))
    async with kit.running({"media": "block"}) as plane:
        await is_blocked(client(plane).files.create(file=("a.pdf", b"%PDF"), purpose="user_data"))


async def test_batch_results(kit, plane, client):
    """Each result is judged as the answer that it is; one that is blocked is refused in its own shape."""
    lines = [
        {"id": f"b{number}", "custom_id": f"r{number}", "response": {"status_code": 200, "body": body}, "error": None}
        for number, body in enumerate([kit.answer("很好"), kit.answer("炸药"), kit.answer("你这傻瓜", "好")])
    ]
    raw = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    for content_type in ("application/octet-stream", "application/jsonl"):
        answers(plane, raw, content_type)
        got = (await client(plane).files.content("file-1")).content.split(b"\n")
        assert got[0] == raw.split(b"\n")[0]
        refused = json.loads(got[1])
        assert refused["custom_id"] == "r1"
        assert refused["response"]["body"]["choices"][0]["finish_reason"] == "content_filter"
        masked = json.loads(got[2])["response"]["body"]["choices"]
        assert [choice["message"]["content"] for choice in masked] == ["你这**", "好"]
    clean = raw.split(b"\n")[0] + b"\r\n"
    answers(plane, clean, "application/octet-stream")
    assert (await client(plane).files.content("file-1")).content == clean


async def test_other_contents(kit, client):
    """A file that is no JSON lines follows `media`; a text is read."""
    async with kit.running() as plane:
        answers(plane, b"%PDF\x00\xff", "application/octet-stream")
        assert (await client(plane).files.content("file-1")).content == b"%PDF\x00\xff"
        answers(plane, "说说炸药".encode(), "text/plain")
        await is_blocked(client(plane).files.content("file-1"))
    async with kit.running({"media": "block"}) as plane:
        for content_type in ("application/octet-stream", "application/pdf"):
            answers(plane, b"%PDF\x00\xff", content_type)
            await is_blocked(client(plane).files.content("file-1"))
