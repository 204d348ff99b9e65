using LinearAlgebra, SciMLBase, SciMLOperators
const H = PBPKHybrid
system = circulation(9, 8)
n, order = length(system.states), system.plan.order
parameters(s) = max(1, sum(r -> size(r.parameters, 1), s.reactions; init = 0))
pack = H.Pack{8,Float64}(H.Structure(system), parameters(system))
H.fill_pack!(pack, system, 1:8)
Y = [0.1 + abs(sin(i * l)) for i in 1:n, l in 1:8]
lanes(A) = vec([A[i, l] for l in 1:8, i in order])
u = lanes(Y)

@testset "the packs' right-hand side is the plain one" begin
    du = similar(u)
    H.pack_rhs!(du, u, pack, 0.0)
    @test du ≈ lanes(reduce(hcat, (rhs(system, Y[:, l], l) for l in 1:8))) rtol = 1e-12
end

function difference_jacobian(l)
    e = 1e-6
    reduce(hcat, ((rhs(system, Y[:, l] + e * (1:n .== j), l) - rhs(system, Y[:, l] - e * (1:n .== j), l)) / 2e for j in 1:n))
end

@testset "W solves J - I/gamma" begin
    W = H.GraphW(H.GraphJacobian(pack))
    update_coefficients!(W, u, pack, 0.0; gamma = 0.05)
    b = lanes([cos(i + l) for i in 1:n, l in 1:8])
    x = ldiv!(similar(b), W, b)
    for l in 1:8
        J = difference_jacobian(l)[order, order]
        # central differences with steps of 1e-6 are good to about 1e-8 of the largest entry
        @test (J - I / 0.05) * reshape(x, 8, n)[l, :] ≈ reshape(b, 8, n)[l, :] rtol = 1e-6
    end
    @test W * x ≈ b rtol = 1e-10
    @test size(W) == (8n, 8n) && size(W, 1) == 8n
    @test SciMLOperators.has_ldiv!(W) && !SciMLOperators.isconstant(W)
end

# a system of its own shape, which no other test has compiled
@testset "kernels compiled for a model give the same numbers to the last bit, $(length(other.states)) states" for other in
    (circulation(6, 8), absorption(collect(0.5:0.1:1.2), collect(0.1:0.1:0.8)))
    structure = H.structure_of(other)
    rows = H.n_states(structure)
    mine = H.fill_pack!(H.Pack{8,Float64}(structure, parameters(other)), other, 1:8)
    mine.rate .= [sin(i)^2 for i in 1:(8rows)]
    at, b = [0.1 + abs(sin(i)) for i in 1:(8rows)], [cos(i) for i in 1:(8rows)]
    function all_three()
        du, lu, x = similar(at), zeros(8 * H.n_entries(structure)), similar(at)
        H.pack_rhs!(du, at, mine, 0.0)
        H.refresh!(lu, at, mine, 17.3)
        H.substitute!(x, lu, b, structure, H.Lanes{8,Float64})
        (du, lu, x)
    end
    written_as_loops = all_three()
    @test !H.has_code(structure.code, H.Lanes{8,Float64})
    H.compile!(structure)
    @test H.has_code(structure.code, H.Lanes{8,Float64})
    @test all_three() == written_as_loops
end

@testset "stages written out for a model give the same numbers, $method" for method in ("rodas5p", "rodas4", "rodas4p")
    other = circulation(4, 8)
    structure = H.structure_of(other)
    run() = solve(PBPKProblem(other, bolus(other, "iv", 100.0), collect(0.0:1.0:24.0)); method, rtol = 1e-8, threads = 1)
    H.compile!(structure)
    @atomic structure.code.stages = Ptr{Cvoid}[]
    loops = run()
    H.write_stages!(structure)
    @test H.has_stages(structure.code)
    written = run()
    @test written.steps == loops.steps
    @test written.amount ≈ loops.amount rtol = 1e-13 atol = 1e-13
end

@testset "a model is compiled once enough subjects have been solved" begin
    structure = H.Structure(circulation(5, 1))
    H.note_use!(structure, H.WORTH_COMPILING - 1)
    @test !H.is_compiled(structure.code)
    H.note_use!(structure, 1)
    @test H.is_compiled(structure.code)
end

@testset "a pack's ODEProblem can be solved in other ways" begin
    problem = PBPKProblem(system, StopTable(), [0.0, 2.0]; y0 = ones(n))
    one_pack = pack_problem(problem, 1:4)
    @test one_pack isa SciMLBase.ODEProblem
    du = zero(one_pack.u0)
    one_pack.f(du, one_pack.u0, one_pack.p, 0.0)
    @test reshape(du, 4, n)[3, :] ≈ rhs(system, ones(n), 3)[order] rtol = 1e-12
end
