"""
    solve_gpu(problem::PBPKProblem, backend; method = "rodas5p", rtol = 1e-6, atol = nothing, precision = Float64)

Integrate all subjects by DiffEqGPU's `EnsembleGPUKernel`, one thread per subject, each with its own step size. Needs
`using DiffEqGPU, StaticArrays` and a backend of KernelAbstractions: `CUDABackend()` where there is a CUDA device
(untested), `KernelAbstractions.CPU()` for tests.

- `method`: `"rodas5p"`, `"rosenbrock23"` or `"kvaerno5"`
- `precision`: `Float64` or `Float32`

Doses end a segment: the kernel runs from stop to stop. Doses at different times for different subjects stop everyone. Returns a
[`PBPKSolution`](@ref); `steps` is not known there and zero, a subject whose values are not finite is `NOT_FINITE`.
"""
function solve_gpu end
