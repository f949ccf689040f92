#!/usr/bin/env python3
"""Validates docker/kubernetes/*.yaml and docker/compose.yaml against the published schemas, and what they configure with
fcgate itself: check-files.py FCGATE DIRECTORY. Needs kubernetes-validate and compose-spec (PyPI)."""

import glob
import os
import subprocess
import sys
import tempfile

import compose_spec
import kubernetes_validate
import yaml

# Kinds that run pods have to be as strict as the restricted Pod Security Standard, which no schema says.
POD_KINDS = {"Deployment"}


def restricted(document):
    spec = document["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    for container in spec["containers"] + spec.get("initContainers", []):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, container["name"]
        assert context["capabilities"]["drop"] == ["ALL"], container["name"]
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= {volume["name"] for volume in spec["volumes"]}, container["name"]


def check_configuration(fcgate, text):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        subprocess.run([fcgate, "check", file.name], check=True, stdout=subprocess.DEVNULL)


def describe(text):
    compose = compose_spec.PyCompose.from_yaml(text)
    return f"{len(compose)} services" if len(compose) else "no service"


def main():
    fcgate, directory = sys.argv[1:]
    kinds = []
    for path in sorted(glob.glob(os.path.join(directory, "kubernetes", "*.yaml"))):
        with open(path, encoding="utf-8") as file:
            documents = list(yaml.safe_load_all(file))
        for document in documents:
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
            kinds.append(document["kind"])
            if document["kind"] in POD_KINDS:
                restricted(document)
            if document["kind"] == "ConfigMap":
                check_configuration(fcgate, document["data"]["fcgate.toml"])
        print(f"{os.path.basename(path)}: {len(documents)} objects are valid")
    expected = {"Deployment", "Service", "ConfigMap", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget"}
    assert set(kinds) == expected, kinds
    with open(os.path.join(directory, "compose.yaml"), encoding="utf-8") as file:
        print("compose.yaml: valid,", describe(file.read()))
    for name in ("fcgate.toml", "php/fcgate.toml"):
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            check_configuration(fcgate, file.read())


main()
