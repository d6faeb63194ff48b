"""One data directory in use: lock, files, ports."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from service.local.data_dir import (
    DataDir,
    DataDirInUse,
    DataDirUnusable,
    PortInUse,
    bind,
    free_ports,
    read_processes,
    url_of,
    write_endpoints,
    write_processes,
)
from service.local.processes import ProcessRecord
from service.shared.endpoints import Endpoints, find_api, read_endpoints

ENDPOINTS = Endpoints("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")


def test_a_second_holder_is_refused_by_name(tmp_path: Path) -> None:
    """The message names the directory, the process and the API, and what to do; later it is free again."""
    directory = DataDir(tmp_path / "new")
    with directory.locked():
        write_endpoints(directory, ENDPOINTS)
        expected = r"new is already being served \(process \d+, API at .*--data-dir"
        with pytest.raises(DataDirInUse, match=expected), directory.locked():
            pass
    with directory.locked():
        pass


@pytest.mark.parametrize("tail", ["", "below"])
def test_a_file_is_no_data_directory(tmp_path: Path, tail: str) -> None:
    """One clear line that names the path, where it or something above it is a file."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / tail
    with (
        pytest.raises(DataDirUnusable, match=f"--data-dir {path}: cannot be used .*; allowed:"),
        DataDir(path).locked(),
    ):
        pass


def test_endpoints_file_has_the_three_urls(tmp_path: Path) -> None:
    """Exactly api, mlflow and ray; what is written is read; the client finds the API in it."""
    directory = DataDir(tmp_path)
    write_endpoints(directory, ENDPOINTS)
    assert json.loads(directory.endpoints.read_text()) == ENDPOINTS.to_json()
    assert set(ENDPOINTS.to_json()) == {"api", "mlflow", "ray"}
    assert read_endpoints(tmp_path) == ENDPOINTS
    assert find_api([tmp_path / "none", tmp_path]) == ENDPOINTS.api


@pytest.mark.parametrize("text", ["", "{", "[]", '{"api": 1, "mlflow": "", "ray": ""}', '{"token": "t"}'])
def test_damaged_files_count_as_absent(tmp_path: Path, text: str) -> None:
    """A half-written file of another time is no reason not to start."""
    directory = DataDir(tmp_path)
    directory.endpoints.write_text(text)
    directory.processes.write_text(text)
    assert read_endpoints(tmp_path) is None
    assert read_processes(directory) == (None, {})


def test_processes_file_round_trip(tmp_path: Path) -> None:
    """The mark, and pid, start time and details of each; a damaged entry is left out."""
    directory = DataDir(tmp_path)
    record = ProcessRecord(12, 3.5, {"ports": [1, 2]})
    write_processes(directory, "token", {"ray": record})
    assert read_processes(directory) == ("token", {"ray": record})
    document = json.loads(directory.processes.read_text())
    assert document["processes"]["ray"]["pid"] == 12
    document["processes"]["mlflow"] = {"pid": "x"}
    directory.processes.write_text(json.dumps(document))
    assert read_processes(directory) == ("token", {"ray": record})


def test_free_ports_differ_and_can_be_listened_on() -> None:
    """As many as asked for, no two alike, none taken."""
    ports = free_ports(9)
    assert len(set(ports)) == 9
    for port in ports:
        bind("127.0.0.1", port).close()


def test_a_port_in_use_is_one_clear_line() -> None:
    """It names the flag, the address and what is allowed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"--port {port}: cannot listen on 127.0.0.1:{port} .*0 for any"):
            bind("127.0.0.1", port)


def test_url_of_a_socket_that_listens_everywhere() -> None:
    """0.0.0.0 is no address to go to: the URL is the loopback's."""
    with bind("0.0.0.0", 0) as bound:
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_an_answer_in_two_pieces_is_not_held_back() -> None:
    """What asyncio accepts from our socket has no Nagle: 40 ms for each answer with head and body."""

    async def accepted(bound: socket.socket) -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def meet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            here = writer.get_extra_info("socket")
            found.set_result(here.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(meet, sock=bound):
            _, writer = await asyncio.open_connection(*bound.getsockname())
            nodelay = await asyncio.wait_for(found, 20)
            writer.close()
            return nodelay

    with bind("127.0.0.1", 0) as bound:
        assert asyncio.run(accepted(bound)) != 0
