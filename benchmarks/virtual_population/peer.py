"""A neural generator on a table of people: python peer.py CTGAN|TVAE|TabDDPM PEOPLE.csv OUT.csv N."""

import sys
import time

#: synthcity's default, 1,000, does not end in a reasonable time on a core; the benchmark's table states this number
TABDDPM_PASSES = 100
EPOCHS = 100


def main(name: str, source: str, out: str, n: int) -> None:
    """Fit to the people of a CSV file, write n others; prints the seconds of fitting and of sampling."""
    import pandas as pd
    import torch

    people = pd.read_csv(source)
    torch.manual_seed(1)
    start = time.perf_counter()
    if name == "TabDDPM":
        from synthcity.plugins import Plugins
        from synthcity.plugins.core.dataloader import GenericDataLoader

        model = Plugins(categories=["generic"]).get("ddpm", random_state=1, n_iter=TABDDPM_PASSES)
        model.fit(GenericDataLoader(people, target_column="male"))
        fitted = time.perf_counter()
        drawn = model.generate(count=n).dataframe()
    else:
        import ctgan

        people["male"] = people["male"].astype(str)
        model = getattr(ctgan, name)(epochs=EPOCHS)
        model.fit(people, ["male"])
        fitted = time.perf_counter()
        drawn = model.sample(n)
    print(fitted - start, time.perf_counter() - fitted)
    drawn.to_csv(out, index=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
