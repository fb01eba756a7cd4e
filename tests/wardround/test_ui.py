"""`wardround ui`: the real MLflow page over the project's runs, and nothing left behind."""

import httpx
import pytest
from mlflow import MlflowClient

from tests.conftest import Project
from tests.servers import free_port
from tests.wardround.process import running

pytestmark = pytest.mark.slow


def test_the_page_shows_the_projects_runs_and_ends_when_it_is_told(make_project: Project) -> None:
    project, port = make_project(), free_port()
    own = MlflowClient(f"sqlite:///{project / 'mlruns' / 'mlflow.db'}")
    run = own.create_run(own.create_experiment("seen"), run_name="a federation")
    url = f"http://127.0.0.1:{port}"
    with running(project, "ui", "--port", str(port)) as page:
        page.says(f"MLflow: {url}")
        page.wait_until(lambda: answers(f"{url}/health"), 120)
        assert "<title>MLflow</title>" in httpx.get(url).text
        served = MlflowClient(url).get_run(run.info.run_id)
        assert served.info.run_name == "a federation"
        page.end()
        assert not answers(f"{url}/health")


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False
