# A Michaelis-Menten rate and a table of time, written as operations: the same numbers as the closed law, walked and compiled.
const E = PBPKHybrid
mutable struct Listing
    op::Vector{Int}; per::Vector{Int}; arg::Vector{Int}; value::Vector{Float64}; index::Vector{Int}
end
Listing() = Listing(Int[], Int[], Int[], Float64[], Int[])
function put!(l::Listing, name, args...; value = 0.0, index = 0)
    push!(l.op, E.operation(name)); push!(l.per, length(args)); append!(l.arg, args); push!(l.value, value); push!(l.index, index)
    length(l.op)
end
program(l::Listing, rate, slope; tables = E.ExpressionTable[]) = ExpressionProgram(l.op, l.per, l.arg, l.value, l.index, tables, rate, slope)

"""Rate Vmax a / (Km + a) of state 1 with parameters 1 and 2, and its slope Vmax Km / (Km + a)^2."""
function saturable()
    l = Listing()
    a, vmax, km = put!(l, :state; index = 1), put!(l, :parameter; index = 1), put!(l, :parameter; index = 2)
    below = put!(l, :add, km, a)
    rate = put!(l, :div, put!(l, :mul, vmax, a), below)
    slope = put!(l, :div, put!(l, :mul, vmax, km), put!(l, :powi, below; index = 2))
    program(l, [rate], [slope])
end
vmax, km = [3.0 + 0.1i for i in 1:11], [2.0 + 0.05i for i in 1:11]
body(law; options...) = PBPKSystem(
    ["a", "b"], [2], [2], [-0.2];
    reactions = [Reaction("r", law, [1], [1 => -1.0, 2 => 1.0], [vmax'; km'])], n_subjects = 11, options...,
)
closed_law, written = body("michaelis_menten"), body("expression"; expressions = saturable())
times = collect(0.0:0.5:12.0)
answer(s; rtol = 1e-9) = solve(PBPKProblem(s, bolus(s, "a", 20.0), times; saved = ["a", "b"]); rtol)

@testset "an expression is the closed law that it writes" begin
    y = [3.0, 4.0]
    @test rhs(written, y, 3) ≈ rhs(closed_law, y, 3) rtol = 1e-15
    @test answer(written).amount ≈ answer(closed_law).amount rtol = 1e-8
    @test all(==(SUCCESS), answer(written).status)
end

@testset "walked and compiled give the same numbers to the last bit" begin
    structure = E.structure_of(written)
    @test !E.has_nodes(structure.code)
    walked = answer(written).amount
    E.compile_expressions!(structure)
    @test E.has_nodes(structure.code)
    @test answer(written).amount == walked
end

@testset "every operation, on numbers, walked on lanes and compiled" begin
    l = Listing()
    x, y = put!(l, :state; index = 1), put!(l, :state; index = 2)
    roots = [put!(l, name, x) for name in E.ONE if name ∉ (:powi, :table)]
    append!(roots, (put!(l, name, x, y) for name in E.TWO))
    append!(roots, (put!(l, name, x, y, x) for name in (:add, :mul, :min, :max, :and, :or, :if)))
    append!(roots, (put!(l, :powi, x; index) for index in (1, 3, -2)))
    append!(roots, (put!(l, name, x) for name in (:and, :or, :add)))
    append!(roots, (put!(l, :table, x; index) for index in (1, 2)))
    tables = [E.ExpressionTable([-1.0, 0.0, 2.0], [1.0, 3.0, -1.0], slope) for slope in (false, true)]
    list = ExpressionProgram(l.op, l.per, l.arg, l.value, l.index, tables, roots, Int[])
    xs, ys = [-3.3, -1.0, -0.5, 0.0, 0.4, 1.0, 2.0, 709.0], [2.0, -1.0, 0.0, 0.5, 0.4, -2.0, NaN, 1.5]
    count = length(list)
    function of_numbers(k)
        nodes = zeros(count)
        E.walk!(nodes, list, [xs[k], ys[k]], 1:2, Float64[], 0.0, count)
        nodes[roots]
    end
    plain = reduce(hcat, of_numbers.(1:8))
    u, empty = [xs; ys], zeros(8)
    function lanes(f)
        nodes = zeros(8 * count)
        GC.@preserve nodes u empty f(nodes)
        permutedims(reshape(nodes, 8, :)[:, roots])
    end
    walked = lanes(nodes -> E.walk!(E.Rows{8}(nodes), list, E.Rows{8}(u), 1:2, E.Rows{8}(empty), zero(E.Lanes{8,Float64}), count))
    address = E.machine_code(E.nodes_code(list, 1:2, roots))
    compiled = lanes(nodes -> ccall(address, Cvoid, (E.PF, E.PF, E.PF), nodes, u, empty))
    @test isequal(walked, compiled)
    # min and max of NaN differ from IEEE's on purpose; all else is equal, NaN where numpy has it
    @test isequal(plain, walked)
    row(name) = plain[findfirst(==(name), [OP for OP in E.ONE if OP ∉ (:powi, :table)]), :]
    @test all(isnan, row(:log)[1:3]) && row(:log)[4] == -Inf && all(isnan, row(:sqrt)[1:3]) && all(isnan, row(:asin)[[1, 7, 8]])
    @test plain[end - 1, :] == [1.0, 1.0, 2.0, 3.0, 2.2, 1.0, -1.0, -1.0]
    @test plain[end, :] == [0.0, 2.0, 2.0, -2.0, -2.0, -2.0, 0.0, 0.0]
end

@testset "a list that can't be walked is refused" begin
    good = saturable()
    changed(changes) = ExpressionProgram((get(changes, f, getfield(good, f)) for f in fieldnames(ExpressionProgram))...)
    bad(; changes...) = body("expression"; expressions = changed(changes))
    @test_throws "does not come before" bad(; arg = [9; good.arg[2:end]])
    @test_throws "state" bad(; index = [7; good.index[2:end]])
    @test_throws "number 99" bad(; op = [99; good.op[2:end]])
    @test_throws "rates" bad(; rate = Int[])
    @test_throws "slopes" bad(; slope = Int[])
    @test_throws "rates" body("expression")
end
