# A model built natively: absorption, a body compartment and a saturable elimination, for three people.
using PBPKHybrid

ka, ke = [1.0, 1.5, 0.7], [0.10, 0.08, 0.12]                      # 1/h, one per person
system = PBPKSystem(
    ["depot", "body", "out"], [1, 2, 2, 3], [1, 1, 2, 2], permutedims([-ka ka -ke ke]);
    reactions = [Reaction("enzyme", "michaelis_menten", [2], [2 => -1.0, 3 => 1.0], [5.0, 20.0])],   # Vmax mg/h, Km mg
    observables = Dict("plasma" => Observable([2], 1 / 42.0)),                                        # 42 L
    targets = Dict("oral" => 1),
)
doses = bolus(system, "oral", 100.0) + bolus(system, "oral", 100.0; time = 12.0)
solution = solve(PBPKProblem(system, doses, 0:1.0:24; saved = ["plasma"]); rtol = 1e-8)
println(solution)
println("plasma at 24 h [mg/L]: ", round.(concentration(solution, "plasma")[end, :]; digits = 4))
println("largest mass balance error [mg]: ", maximum(abs, solution.balance))
