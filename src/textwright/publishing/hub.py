"""`push` and `pull`: model folders to and from the Hugging Face Hub, by `huggingface_hub`.

That library finds the token, from `hf auth login` or `$HF_TOKEN`; nothing here reads, shows or
stores it. `$HF_ENDPOINT` names another Hub.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from textwright import atomic, runs
from textwright.configs import check_companion
from textwright.errors import DownloadError, RequestError, RunError, TextwrightError
from textwright.publishing.cards import write_card
from textwright.publishing.defaults import write_defaults
from textwright.publishing.exports import check_folder
from textwright.publishing.space import SPACE_FILES, write_space, write_static_space
from textwright.publishing.wheel import wheel_for_hub
from textwright.runs import Run

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MODEL_FILES = ["*.json", "*.safetensors", "README.md"]


def check_repository(name: str) -> str:
    """`name`, if it is `user/name`. Raises `RequestError` otherwise."""
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name:
        raise RequestError(f"{name!r} is no repository of the Hub; write user/name")
    return name


def write_model_folder(run: Run, repository: str, folder: Path, companion: str = "auto") -> None:
    """Write the folder that is pushed: the model folder, with the card for the Hub; with
    `companion="off"` without what the run counted.

    Raises:
        RunError: the run has no model yet.
    """
    if not run.has_model():
        raise RunError(f"run {run.name!r} has no trained model yet; train it first")
    with atomic.replacing(folder) as partial:
        partial.mkdir()
        for file in run.files_to_copy():
            if companion == "off" and file == run.companion_file:
                continue
            shutil.copyfile(file, partial / file.name)
        write_defaults(run, partial)
        write_card(run, partial, f"hf:{repository}")


def push(
    run: Run,
    repository: str,
    *,
    space: str | None = None,
    static: bool = False,
    private: bool = False,
    dry_run: Path | None = None,
    wheel: Path | None = None,
    companion: str = "auto",
) -> list[str]:
    """Push a model, and, with `space`, a Space that runs it.

    Args:
        run: with a trained model.
        repository: `user/name`.
        space: `user/space` of the Space.
        static: the Space is a page with the model inside, not a Gradio app.
        private: create private repositories; existing ones must be private.
        dry_run: write everything to this folder, and push nothing.
        wheel: a wheel of textwright that the Space installs; by default the release of this
            version or, where that is on no index, a wheel that is made here.
        companion: `off` leaves out what the run counted in its text, here and in the Space.

    Returns:
        Addresses of what was pushed, or the folders written.

    Raises:
        RequestError: a name is wrong, or the login is missing or not enough.
        TextwrightError: the Hub can't be reached or refuses.
    """
    repository = check_repository(repository)
    check_companion(companion)
    if static and not space:
        raise RequestError("--static is a kind of Space; name it with --space user/space")
    if space and check_repository(space) == repository:
        raise RequestError("the Space needs a name of its own; --space user/other-name")
    if wheel and (static or not space):
        raise RequestError("--wheel is for a Gradio Space; name it with --space user/space")
    if dry_run:
        check_folder(dry_run / repository, [file.name for file in run.model_files], run)
    if dry_run and space:
        check_folder(dry_run / "spaces" / space, SPACE_FILES, run)
    with TemporaryDirectory() as scratch:
        root = dry_run or Path(scratch)
        folders = [("model", repository, root / repository)]
        write_model_folder(run, repository, root / repository, companion)
        if space:
            folders.append(("space", space, root / "spaces" / space))
            if static:
                write_static_space(run, repository, folders[-1][2], companion)
            else:
                with TemporaryDirectory() as made:
                    chosen = wheel or wheel_for_hub(Path(made))
                    write_space(run, repository, space, folders[-1][2], chosen)
        if dry_run:
            return [str(folder) for _, _, folder in folders]
        sdk = "static" if static else "gradio"
        # all repositories exist, and are private where requested, before the first upload
        addresses = [create_repository(kind, name, private, sdk) for kind, name, _ in folders]
        for kind, name, folder in folders:
            _upload(kind, name, folder, run)
        return addresses


def create_repository(kind: str, name: str, private: bool, sdk: str = "") -> str:
    """Create a repository if it doesn't exist; returns its address."""
    from huggingface_hub import HfApi

    api = HfApi()
    with hub_errors(name):
        address = api.create_repo(
            name, repo_type=kind, private=private or None, exist_ok=True,
            space_sdk=sdk if kind == "space" else None,
        )  # fmt: skip
        if private and not api.repo_info(name, repo_type=kind).private:
            raise RequestError(
                f"{name} is on the Hub already and everyone sees it; make it private in its "
                "settings there, or push without --private"
            )
    return str(address)


def _upload(kind: str, name: str, folder: Path, run: Run) -> None:
    """Upload a folder; a file of an earlier model that this one lacks doesn't stay beside it."""
    from huggingface_hub import HfApi

    with hub_errors(name):
        HfApi().upload_folder(
            repo_id=name, repo_type=kind, folder_path=folder, commit_message="Push from textwright",
            delete_patterns=[file.name for file in run.model_files] if kind == "model" else None,
        )  # fmt: skip


def pull(repository: str, *, name: str | None = None, folder: str | Path | None = None) -> Run:
    """Download a model from the Hub as a run.

    Args:
        repository: `user/name`, or `hf:user/name`.
        name: of the run; by default that of the repository.
        folder: the folder of runs.

    Raises:
        RequestError: there is none of this name, or it is of no family of textwright.
        DownloadError: the Hub can't be reached.
    """
    repository = check_repository(repository.removeprefix("hf:"))
    root = runs.runs_folder(folder)
    name = name or repository.split("/")[1]
    runs.check_free(name, root)
    from huggingface_hub import snapshot_download

    with TemporaryDirectory() as scratch, hub_errors(repository, DownloadError):
        snapshot_download(repository, allow_patterns=_MODEL_FILES, local_dir=scratch)
        snapshot = Run(Path(scratch))
        if not snapshot.has_model():
            raise RequestError(
                f"{repository} is no model that textwright can load: it lacks files; name another"
            )
        snapshot.config()
        run = runs.create(name, name, root)
        with atomic.replacing(run.path) as partial:
            partial.mkdir()
            for file in snapshot.model_files:
                if file.is_file():
                    shutil.copyfile(file, partial / file.name)
    return run


@contextmanager
def hub_errors(name: str, fallback: type[TextwrightError] = TextwrightError) -> Iterator[None]:
    """Raise the library's errors as ours, in one line about `name`; `fallback` for connections."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except TextwrightError:
        raise
    except LocalTokenNotFoundError as error:
        raise RequestError("not logged in to the Hub; hf auth login, or set HF_TOKEN") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 401:
            raise RequestError(
                f"the Hub doesn't let you at {name}: log in with hf auth login, or set HF_TOKEN; "
                "or it isn't there"
            ) from error
        if status == 403:
            raise RequestError(
                f"your token isn't allowed to do this with {name}; take one that may write there"
            ) from error
        if status == 404:
            raise RequestError(f"the Hub has no {name}; check the spelling") from error
        if status < 500 and status != 429:
            reason = " ".join((error.server_message or "no reason given").split())
            raise RequestError(f"the Hub refuses {name} ({status}): {reason}") from error
        raise fallback(f"the Hub answered {status} for {name}; try again later") from error
    except ValueError as error:  # raised for a bad card, before it is sent
        raise RequestError(f"the Hub refuses {name}: {' '.join(str(error).split())}") from error
    except Exception as error:  # the library passes on its HTTP client's errors
        if isinstance(error, OSError) or "http" in type(error).__module__:
            reason = str(error).split("\n", 1)[0] or type(error).__name__
            raise fallback(f"the Hub can't be reached for {name}: {reason}") from error
        raise
