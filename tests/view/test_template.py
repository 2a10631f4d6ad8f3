"""What Go's templates print, for the part of them that is used with --format."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcontainer.errors import InvalidArgument
from nbcontainer.view.template import Template

VALUE: dict[str, Any] = {
    "Name": "/web",
    "State": {"Status": "running", "Running": True, "ExitCode": 0, "Health": None},
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"b": "2", "a": "1"}, "Cmd": None},
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    "Label": lambda key: f"label of {key}",
}


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{.Name}}", "/web"),
        ("{{ .State.Status }} {{.State.Running}} {{.State.ExitCode}}", "running true 0"),
        ("{{.Config.Cmd}}", "<no value>"),
        ("{{.Config.Env}}", "[A=1 B=2]"),
        ("{{.Config.Labels}}", "map[a:1 b:2]"),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{json .State}}", '{"Status":"running","Running":true,"ExitCode":0,"Health":null}'),
        ("{{.Config.Env | json}}", '["A=1","B=2"]'),
        ('{{join .Config.Env ", "}}', "A=1, B=2"),
        ("{{len .Config.Env}}", "2"),
        ("{{index .Config.Env 1}}", "B=2"),
        ('{{index .Config.Labels "a"}}', "1"),
        ('{{index (index .NetworkSettings.Networks "bridge") "IPAddress"}}', "172.17.0.2"),
        ('{{(index .NetworkSettings.Networks "bridge").IPAddress}}', "172.17.0.2"),
        ("{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
        ("{{range $i, $e := .Config.Env}}{{$i}}:{{$e}};{{end}}", "0:A=1;1:B=2;"),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}}{{end}}", "bridge=172.17.0.2"),
        ("{{range .Config.Cmd}}x{{else}}none{{end}}", "none"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .State.Health}}h{{end}}-", "-"),
        ("{{if and .State.Running (eq .State.ExitCode 0)}}fine{{end}}", "fine"),
        ("{{with .State}}{{.Status}}{{$.Name}}{{end}}", "running/web"),
        ("{{upper .State.Status}}", "RUNNING"),
        ('{{.Label "role"}}', "label of role"),
        ('{{"quoted"}}{{`raw`}}', "quotedraw"),
        ("a {{- .Name -}} b", "a/webb"),
        (r"{{.Name}}\t{{.State.Status}}", "/web\trunning"),
        ("{{/* a comment */}}x", "x"),
        ("{{println .Name}}", "/web\n"),
        ("no action", "no action"),
    ],
)
def test_prints(text: str, printed: str) -> None:
    assert Template(text).render(VALUE) == printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Nmae}}", 'template: map has no entry for key "Nmae" (did you mean .Name?)'),
        ("{{.Name.First}}", "template: can't evaluate field First in /web"),
        ("{{foo .Name}}", 'template parsing error: function "foo" not defined; there are'),
        ("{{.Name", "template parsing error: unclosed action"),
        ("{{if .Name}}", "template parsing error: unexpected EOF: an {{end}} is missing"),
        ("{{end}}", "template parsing error: unexpected {{end}}"),
        ("{{$x}}", 'template: undefined variable "$x"'),
        ("{{.Name +}}", "template parsing error: {{.Name +}} is not supported: at '+'"),
        ("{{index .Config.Env 9}}", "template: error calling index: "),
        ("{{range .Name}}{{end}}", "template: range can't iterate over /web"),
        ("{{$x := .Name}}", "template parsing error: unexpected ':=' in {{$x := .Name}}"),
        ("{{if .Name}}a{{else if .X}}b{{end}}", "template parsing error: {{else if .X}} is not supported"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Template(text).render(VALUE)
    assert str(caught.value).startswith(message)


@given(st.text(alphabet='{}.$|()"`: abNameindex019-=,rangeifend', max_size=40))
def test_no_template_does_more_than_an_invalid_argument(text: str) -> None:
    with suppress(InvalidArgument):
        Template(text).render(VALUE)
