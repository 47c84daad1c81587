"""How Fortinet's own clients talk: what they send, what they look at in the answer, and what they send again (reference, 8.1 to 8.4).

Written from the facts, for tests: no code of theirs.
"""

import time
from typing import Any

import httpx

from tests.gateway.dropin.clients import credentials
from tests.gateway.dropin.servers import Stand
from tests.people import ApiClient


class TerraformError(Exception):
    """What Terraform would print."""


class Terraform:
    """Logs in once per run and never again; ignores HTTP codes; takes nothing but status 0; sends everything up to four times, 1 s apart."""

    def __init__(self, stand: Stand, person: ApiClient) -> None:
        self._base = f"{stand.base}/ES/api/"
        told = httpx.post(stand.auth_url, json=self._login(person), timeout=250).json()
        if not told.get("access_token"):
            raise TerraformError("Can not get Token.")
        self._headers = {"Authorization": f"Bearer {told['access_token']}", "Content-Type": "application/json"}
        self.sends = 0

    @staticmethod
    def _login(person: ApiClient) -> dict[str, str]:
        return credentials(person) | {"client_id": "flexvm", "grant_type": "password"}

    def send(self, path: str, body: Any) -> dict[str, Any]:
        told: Any = {}
        for _ in range(4):
            self.sends += 1
            told = httpx.post(self._base + path, json=body, headers=self._headers, timeout=250).json()
            if "status" in told and str(told["status"]) == "0":
                return dict(told)
            time.sleep(1)
        raise TerraformError(told)

    def create_or_update(self, path: str, key: str, body: Any) -> dict[str, Any]:
        told = self.send(path, body)
        value = told.get(key) if told.get(key) is not None else told.get("vms")
        if isinstance(value, list):
            if len(value) > 1:
                raise TerraformError("Response contains multiple values")
            return dict(value[0])  # an empty list is a panic there, and an IndexError here
        return dict(value or {})

    # --- resources ---
    def create_vm(self, config: int, **more: Any) -> dict[str, Any]:
        return self.create_or_update(
            "fortiflex/v2/entitlements/vm/create", "entitlements", {"configId": config, "count": 1} | more
        )

    def read_vm(self, row: dict[str, Any]) -> dict[str, Any]:
        """Its id is `serial.config`, so both go as text."""
        body = {"configId": str(row["configId"]), "serialNumber": row["serialNumber"]}
        found = self.send("fortiflex/v2/entitlements/list", body)["entitlements"]
        if len(found or []) != 1:
            raise TerraformError(f"{len(found or [])} found")
        return dict(found[0])

    def update_vm(self, row: dict[str, Any], *, status: str = "", **more: Any) -> dict[str, Any]:
        now = self.read_vm(row)
        if status and now["status"] != status:
            self.switch(row, "reactivate" if status == "ACTIVE" else "stop")
        body = {"serialNumber": row["serialNumber"], "configId": str(row["configId"])} | more
        return self.create_or_update("fortiflex/v2/entitlements/update", "entitlements", body)

    def switch(self, row: dict[str, Any], verb: str) -> dict[str, Any]:
        body = {"serialNumber": row["serialNumber"]}
        return self.create_or_update(f"fortiflex/v2/entitlements/{verb}", "entitlements", body)

    def destroy_vm(self, row: dict[str, Any], *, refresh_token: bool = False) -> None:
        if self.read_vm(row)["status"] != "STOPPED":
            self.switch(row, "stop")
        if refresh_token:
            body = {"serialNumber": row["serialNumber"]}
            self.create_or_update("fortiflex/v2/entitlements/vm/token", "entitlements", body)

    def groups(self, account: int = 0) -> list[dict[str, Any]]:
        path = "fortiflex/v2/groups/list" if account else "flexvm/v1/groups/list"
        return list(self.send(path, {"accountId": account} if account else {})["groups"])


class AnsibleFailure(Exception):
    """`fail_json`."""


class Ansible:
    """One task: logs in, calls, and goes by the HTTP code and by one text. KeyError where `status` or `message` is missing, as there."""

    def __init__(self, stand: Stand, person: ApiClient, *, access_token: str = "") -> None:
        self._stand, self._person, self.logins = stand, person, 0
        self._access_token = access_token or self._log_in()  # a session file of an earlier run holds one

    def _log_in(self) -> str:
        self.logins += 1
        body = credentials(self._person) | {"client_id": "flexvm", "grant_type": "password"}
        answer = httpx.post(self._stand.auth_url, json=body, timeout=60)
        if answer.status_code >= 400:
            raise AnsibleFailure(answer.json())
        return str(answer.json()["access_token"])

    def _post(self, path: str, data: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._access_token}", "Content-Type": "application/json"}
        return httpx.post(f"{self._stand.base}/ES/api/{path}", json=data, headers=headers, timeout=60)

    def send(self, path: str, data: Any, *, check_error: bool = True) -> dict[str, Any]:
        answer = self._post(path, data)
        for retry in range(5):
            told = answer.json()
            if not (told["status"] == -1 and told["message"] == "Invalid security token."):
                break
            if retry == 4:
                self._access_token = self._log_in()
            answer = self._post(path, data)
        if check_error and answer.status_code >= 400:
            raise AnsibleFailure(answer.json())
        return dict(answer.json())

    def update_entitlement(
        self, serial: str, *, config: int | None = None, status: str = "", **more: Any
    ) -> dict[str, Any]:
        """fortiflexvm_entitlements_update: list, reactivate what is stopped, update, then stop or reactivate."""
        current = "UNKNOWN"
        told: dict[str, Any] = {}
        if config is not None:
            for row in self.send("fortiflex/v2/entitlements/list", {"configId": config})["entitlements"]:
                if row["serialNumber"] == serial:
                    current = row["status"]
            if current == "STOPPED" and status == "ACTIVE":
                self._switch(serial, "reactivate")
            told = self.send(
                "fortiflex/v2/entitlements/update",
                {"serialNumber": serial, "configId": config} | more,
                check_error=False,
            )
            if told["status"] != 0:
                raise AnsibleFailure(told)
            current = told["entitlements"][0]["status"]
        if status and status != current:
            told = self._switch(serial, "reactivate" if status == "ACTIVE" else "stop")
            if told["message"].startswith("Unable to update"):
                raise AnsibleFailure(told)
        return told  # anything else counts as changed

    def _switch(self, serial: str, verb: str) -> dict[str, Any]:
        return self.send(f"fortiflex/v2/entitlements/{verb}", {"serialNumber": serial}, check_error=False)
