if any(p -> Base.find_package(p) === nothing, ("DiffEqGPU", "StaticArrays", "KernelAbstractions"))
    @info "DiffEqGPU, StaticArrays or KernelAbstractions is not installed; the GPU path is not tested"
else
    using DiffEqGPU, StaticArrays
    using KernelAbstractions: CPU
    @test Base.get_extension(PBPKHybrid, :PBPKHybridDiffEqGPUExt) !== nothing
    backend = GROUP == "CUDA" ? (@eval(using CUDA); CUDA.CUDABackend()) : CPU()
    system = circulation(4, 3)
    stops = bolus(system, "iv", 100.0) + infusion(system, "iv", 20.0, 2.0; time = 3.0) + bolus(system, "iv", 30.0; time = 6.0, subject = 2)
    problem = PBPKProblem(system, stops, collect(0.0:1.0:12.0))
    reference = solve(problem; rtol = 1e-10)
    @testset "$method in $precision" for (method, precision, rtol, bound) in (
        ("rodas5p", Float64, 1e-7, 1e-6), ("rosenbrock23", Float64, 1e-6, 1e-3), ("kvaerno5", Float64, 1e-6, 1e-4),
        ("rodas5p", Float32, 1e-4, 1e-3), ("rosenbrock23", Float32, 1e-3, 1e-1), ("kvaerno5", Float32, 1e-4, 2e-2),
    )
        # Float32 carries 7 digits and these amounts span five decades; the bounds allow for that
        solution = PBPKHybrid.solve_gpu(problem, backend; method, precision, rtol)
        @test all(==(SUCCESS), solution.status)
        @test maximum(abs.(solution.amount .- reference.amount) ./ (abs.(reference.amount) .+ 1e-2)) < bound
        @test solution.given ≈ reference.given
    end
    @test_throws ArgumentError PBPKHybrid.solve_gpu(problem, backend; method = "euler")
end
