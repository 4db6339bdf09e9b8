"""What is in an image, as a CycloneDX 1.6 document beside it: Python packages, Debian's, jars.

Each component is named with its version, package URL and licences as its packer states them: the
metadata of a wheel, Debian's copyright file, the manifest or pom.xml of a jar. A component
that states none is listed all the same, with the property `licence: not stated`.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

LOOK = r"""
import glob, importlib.metadata, json, re, subprocess, zipfile

def python():
    for one in importlib.metadata.distributions():
        told = one.metadata
        named = [told["License-Expression"]] if told["License-Expression"] else [
            line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or []
            if line.startswith("License ::") and not line.endswith(" :: OSI Approved")]
        if not named and told["License"]:
            named = [told["License"].strip().splitlines()[0]]
        yield "pypi", told["Name"].lower(), one.version, named

def debian():
    form = "${Package}\t${Version}\n"
    for line in subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True,
                               text=True, check=True).stdout.splitlines():
        name, version = line.split("\t")
        text = ""
        for file in glob.glob(f"/usr/share/doc/{name}/copyright"):
            text = open(file, errors="replace").read()
        yield "deb", name, version, sorted(
            set(re.findall(r"(?m)^License: *(\S[^\n]*)$", text))
            or set(re.findall(r"common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9])", text)))

def jars():
    for path in sorted(glob.glob("/opt/sourceafis/libs/*.jar")):
        name, _, version = path.rpartition("/")[2].removesuffix(".jar").rpartition("-")
        with zipfile.ZipFile(path) as jar:
            texts = {one: jar.read(one).decode(errors="replace") for one in jar.namelist()
                     if one == "META-INF/MANIFEST.MF" or one.endswith("/pom.xml")}
        manifest = texts.pop("META-INF/MANIFEST.MF", "")
        named = re.findall(r"(?m)^Bundle-License: \"?([^;\"\r\n]+)", manifest)
        for pom in texts.values():
            named = named or re.findall(r"<license>\s*<name>([^<]+)</name>", pom)
        yield "maven", name, version, named
    for path in glob.glob("/opt/java/release"):
        told = dict(line.split("=", 1) for line in open(path).read().splitlines())
        yield "generic", "openjdk", told["JAVA_VERSION"].strip('"'), [
            "GPL-2.0-only WITH Classpath-exception-2.0"]

print(json.dumps([*python(), *debian(), *jars()]))
"""
NAMESPACES = {"deb": "debian"}


def write_sbom(image: str, name: str, version: str, file: Path) -> None:
    """Looks into the image, which needs nothing but the Python that it has anyway."""
    looked = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", LOOK],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    document = json.loads(
        JsonV1Dot6(bom(json.loads(looked.stdout), name, version)).output_as_string()
    )
    # Made again from the same image it is the same file.
    document["metadata"].pop("timestamp", None)
    document.pop("serialNumber", None)
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def bom(found: Iterable[tuple[str, str, str, list[str]]], name: str, version: str) -> Bom:
    document = Bom()
    title = f"epassport/{name}"
    image = Component(
        name=title, version=version, type=ComponentType.CONTAINER, bom_ref=f"{title}:{version}"
    )
    document.metadata.component = image
    for kind, package, its_version, licences in sorted(found):
        document.components.add(_component(kind, package, its_version, licences))
    # Flat: the image holds all of them; which package asked for which is not looked at.
    document.register_dependency(image, document.components)
    return document


def _component(kind: str, name: str, version: str, licences: list[str]) -> Component:
    url = PackageURL(kind, NAMESPACES.get(kind), name, version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        licenses=[DisjunctiveLicense(name=licence) for licence in dict.fromkeys(licences)],
        properties=[] if licences else [Property(name="licence", value="not stated")],
    )


def licences_of(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """By package URL, as the document has them."""
    return {
        component["purl"]: [one["license"]["name"] for one in component.get("licenses", ())]
        for component in document["components"]
    }
