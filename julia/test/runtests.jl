# GROUP=CPU (default, with DiffEqGPU on KernelAbstractions' CPU backend where it is installed), GROUP=CUDA on a machine with one.
using PBPKHybrid
using Test

const GROUP = get(ENV, "GROUP", "CPU")

include("models.jl")

@testset "PBPKHybrid" begin
    if GROUP == "CPU"
        @testset "elimination along the graph" include("elimination.jl")
        @testset "right-hand side and factorisation" include("kernels.jl")
        @testset "expressions" include("expressions.jl")
        @testset "closed solutions" include("closed_solutions.jl")
        @testset "methods agree" include("methods.jl")
        @testset "failures" include("failures.jl")
        @testset "files" include("files.jl")
        @testset "allocations" include("allocations.jl")
        @testset "neural fields" include("neural.jl")
        @testset "package quality" include("quality.jl")
    end
    @testset "DiffEqGPU" include("gpu.jl")
end
