plan = PBPKHybrid.EliminationPlan(5, [(i, 5) for i in 1:4] ∪ [(5, i) for i in 1:4])
@test plan.order[end] == 5 || plan.order[end - 1] == 5  # a star's centre goes last (or last but one, when one leaf is left)
@test PBPKHybrid.n_entries(plan) == 5 + 8  # no fill-in
@test length(plan.op_source) == 4
ring = PBPKHybrid.EliminationPlan(6, [(i, mod1(i + 1, 6)) for i in 1:6])
@test sort(ring.order) == 1:6
@test all(ring.place[ring.order] .== 1:6)
