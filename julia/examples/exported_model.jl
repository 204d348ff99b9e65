# A model from Python:
#     from pbpk_hybrid.models.system.examples import yardstick_system
#     from pbpk_hybrid.solvers.julia.export import save_system
#     save_system(yardstick_system(1000), "yardstick.json")
# then: julia --project=. --threads=auto julia/examples/exported_model.jl yardstick.json
using PBPKHybrid

system = load_system(ARGS[1])
problem = PBPKProblem(system, bolus(system, "oral", 100.0), 0:0.25:24)
solve(problem)  # compiles what the package did not
seconds = @elapsed solution = solve(problem; method = "rodas5p", rtol = 1e-6)
println(solution, ": ", round(seconds / length(solution.status) * 1e6; digits = 1), " us per subject")
