"""A page on which somebody chooses between two pictures without knowing which is which, and the tally of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from vsr.evaluation.page import Rgb, data_url

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 1rem; color: #ddd; background: #333 }
#pictures { display: flex; gap: 1rem } figure { margin: 0; flex: 1; max-width: 40rem }
img { width: 100%; display: block; image-rendering: pixelated } #one, #two { cursor: pointer }
[hidden] { display: none !important } pre { white-space: pre-wrap } a { color: #9cf }
"""

_SCRIPT = """
const given = JSON.parse(document.getElementById('given').textContent);
const at = id => document.getElementById(id);
// A picture's place says nothing about its name.
const shuffled = list => list.map(item => [Math.random(), item]).sort((a, b) => a[0] - b[0]).map(pair => pair[1]);
const order = shuffled(given.trials.map((_, number) => number));
const answers = [];
let sides;

function show() {
  if (answers.length === order.length) return finish();
  const trial = given.trials[order[answers.length]];
  sides = shuffled([0, 1]);
  at('one').src = trial.pictures[sides[0]];
  at('two').src = trial.pictures[sides[1]];
  at('original').hidden = trial.pictures.length < 3;
  if (trial.pictures.length > 2) at('reference').src = trial.pictures[2];
  at('count').textContent = `${answers.length + 1} of ${order.length}`;
}

function choose(side) {
  if (answers.length === order.length) return;
  const number = order[answers.length];
  answers.push({ trial: number, name: given.trials[number].name, left: given.labels[sides[0]],
    chosen: given.labels[sides[side]] });
  show();
}

function finish() {
  const chosen = Object.fromEntries(given.labels.map(label =>
    [label, answers.filter(answer => answer.chosen === label).length]));
  const text = JSON.stringify({ chosen, answers: answers.sort((a, b) => a.trial - b.trial) }, null, 1);
  at('pictures').hidden = true;
  at('count').textContent = given.labels.map(label => `${label}: ${chosen[label]}`).join(', ');
  at('tally').textContent = text;
  at('save').href = 'data:application/json,' + encodeURIComponent(text);
  at('save').hidden = false;
}

document.addEventListener('keydown', event => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === '1') choose(0);
  if (event.key === '2') choose(1);
});
at('one').addEventListener('click', () => choose(0));
at('two').addEventListener('click', () => choose(1));
show();
"""

_BODY = """
<p>Which picture is better? Keys 1 and 2, or a click. <span id="count"></span></p>
<div id="pictures"><figure><img id="one" alt="1"><figcaption>1</figcaption></figure>
<figure><img id="two" alt="2"><figcaption>2</figcaption></figure>
<figure id="original" hidden><img id="reference" alt="original"><figcaption>original</figcaption></figure></div>
<p><a id="save" download="tally.json" hidden>save the tally</a></p>
<pre id="tally"></pre>
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """One choice. name: in the tally. pictures: two, and perhaps the original of both, uint8 [H, W, 3], of one size."""

    name: str
    pictures: Sequence[Rgb]


def blind_page(labels: Sequence[str], trials: Sequence[Trial]) -> str:
    """The whole page, for two different labels; everything is inside. Trials come in random order, on random sides.

    At its end the page shows the tally as JSON: `chosen`, the number of choices by label; `answers`, one object a trial, with
    the name of the trial, the label on the left and the chosen one.
    """
    given = {
        "labels": list(labels[:2]),
        "trials": [
            {"name": trial.name, "pictures": [data_url(picture) for picture in trial.pictures]}
            for trial in trials
        ],
    }
    # "</script>" in a label would end the block.
    data = json.dumps(given).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Which is better?</title><style>{_STYLE}</style></head><body>{_BODY}"
        f'<script type="application/json" id="given">{data}</script><script>{_SCRIPT}</script></body></html>\n'
    )
