# DiffEqGPU on systems that `save_system` wrote: julia gpu.jl TITLE FILE [TITLE FILE ...]; prints one line of JSON.
using PBPKHybrid, DiffEqGPU, CUDA

CUDA.functional() || error("CUDA.jl finds no device")
out = String[]
for at in 1:2:length(ARGS)
    system = PBPKHybrid.load_system(ARGS[at+1])
    n = PBPKHybrid.n_subjects(system)
    stops = PBPKHybrid.bolus(system, system.states[1], 100.0)
    problem = PBPKHybrid.PBPKProblem(system, stops, 0.0:1.0:24.0; saved = system.states[1:4])
    for precision in (Float64, Float32)
        run() = PBPKHybrid.solve_gpu(problem, CUDABackend(); precision, rtol = precision === Float64 ? 1e-6 : 1e-5)
        try
            began = @elapsed run()
            best = minimum(@elapsed(run()) for _ in 1:2)
            push!(out, "\"$(ARGS[at]), $precision\": {\"subjects\": $n, \"first_s\": $began, \"us_per_subject\": $(1e6 * best / n)}")
        catch failure
            text = replace(first(split(sprint(showerror, failure), '\n')), '"' => '\'', '\\' => '/')
            push!(out, "\"$(ARGS[at]), $precision\": {\"failed\": \"$text\"}")
        end
    end
end
println("{", join(out, ", "), "}")
