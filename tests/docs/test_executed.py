"""What the code of a page makes stands under it: text, tables, figures, commands; an error stops the build."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
MAKE = Path(__file__).parents[2] / "docs" / "make"
PAGE = """# Page

```python
import matplotlib.pyplot as plt
import pandas as pd
print("said < and\\n\\nblank")
plt.plot([1, 2], [3, 4])
pd.DataFrame({"a": [1]})
```

```text
what was printed when the page was written
```

```bash
pbpk-hybrid compounds search caffeine
```

The end.
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("executed", MAKE / "executed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CACHE = tmp_path_factory.mktemp("cache")
    return module


def test_outputs_stand_under_their_blocks(executed):
    made = executed.outputs("page.md", PAGE, "1")
    assert len(made) == 2
    assert "said &lt; and" in made[0] and "data:image/svg+xml;base64," in made[0]
    assert "<table" in made[0] and "Line2D" not in made[0]
    assert "caffeine" in made[1]
    page = executed.insert(PAGE, made)
    assert "when the page was written" not in page and page.endswith("The end.\n")
    assert page.index("said &lt;") < page.index("pbpk-hybrid compounds")
    # the second time nothing is run
    assert executed.outputs("page.md", PAGE, "1") == made


def test_a_page_whose_code_fails_stops_the_build(executed):
    with pytest.raises(executed.PageFailed, match=r"page\.md"):
        executed.outputs("page.md", "```python\n1 / 0\n```\n", "1")


def test_a_notebook_is_a_page_with_its_outputs(executed):
    book = MAKE.parents[1] / "examples" / "notebooks" / "03_a_child.ipynb"
    page = executed.notebook_page(book)
    assert page.startswith("# A child") and "data:image/png;base64," in page
