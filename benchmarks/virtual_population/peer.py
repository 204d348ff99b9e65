"""A neural generator on a table of people: python peer.py CTGAN|TVAE|TabDDPM PEOPLE.csv OUT.csv N."""

import sys
import time

import pandas as pd
import torch

name, source, out, n = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
people = pd.read_csv(source)
torch.manual_seed(1)
start = time.perf_counter()
if name == "TabDDPM":
    from synthcity.plugins import Plugins
    from synthcity.plugins.core.dataloader import GenericDataLoader

    model = Plugins(categories=["generic"]).get("ddpm", random_state=1)
    model.fit(GenericDataLoader(people, target_column="male"))
    fitted = time.perf_counter()
    drawn = model.generate(count=n).dataframe()
else:
    import ctgan

    people["male"] = people["male"].astype(str)
    model = getattr(ctgan, name)(epochs=100)
    model.fit(people, ["male"])
    fitted = time.perf_counter()
    drawn = model.sample(n)
print(fitted - start, time.perf_counter() - fitted)
drawn.to_csv(out, index=False)
