"""
    EliminationPlan

LU factorisation of a fixed sparse pattern as flat lists, worked out once per model.

`order[i]` is the state eliminated i-th, `place` its inverse. Entry values live in one array: the diagonal (`1:n`), then L
by rows, then U by rows. For row `i` in turn and each L entry `p in l_ptr[i]:l_ptr[i+1]-1` with column `l_col[p]`: multiply
it by the inverse pivot of that column, then for `q in op_ptr[p]:op_ptr[p+1]-1` subtract (L entry) x (entry `op_source[q]`)
from entry `op_target[q]`. L entry `p` is entry `n + p`, U entry `p` is entry `n + length(l_col) + p`.
"""
struct EliminationPlan
    n::Int
    order::Vector{Int}
    place::Vector{Int}
    l_ptr::Vector{Int}
    l_col::Vector{Int}
    u_ptr::Vector{Int}
    u_col::Vector{Int}
    op_ptr::Vector{Int}
    op_source::Vector{Int}
    op_target::Vector{Int}
    position::Dict{Tuple{Int,Int},Int}  # (row, column) in the original numbering -> entry
end

n_entries(plan::EliminationPlan) = plan.n + length(plan.l_col) + length(plan.u_col)

"""
Elimination order by the minimum-degree rule on the symmetrised pattern (Tinney & Walker 1967; George & Liu 1989).

Ties go to the state with the fewest entries of its own, then to the lower number: the same order as in Python.
"""
function minimum_degree_order(n::Int, pattern)
    near = [Set{Int}() for _ in 1:n]
    for (r, c) in pattern
        r == c && continue
        push!(near[r], c)
        push!(near[c], r)
    end
    own = length.(near)
    left, order = Set(1:n), Int[]
    while !isempty(left)
        pick = argmin(i -> (length(near[i]), own[i], i), left)
        for a in near[pick]
            union!(near[a], near[pick])
            delete!(near[a], pick)
            delete!(near[a], a)
        end
        delete!(left, pick)
        push!(order, pick)
        empty!(near[pick])
    end
    order
end

"""Plan the LU factorisation of `pattern` ((row, column) pairs, from 1) plus the diagonal."""
function EliminationPlan(n::Int, pattern)
    entries = union(Set{Tuple{Int,Int}}(pattern), ((i, i) for i in 1:n))
    order = minimum_degree_order(n, sort!(collect(entries)))
    place = invperm(order)
    rows = [Set{Int}() for _ in 1:n]
    for (r, c) in entries
        push!(rows[place[r]], place[c])
    end
    # symbolic factorisation by rows: row i receives the upper part of every earlier row it touches
    for i in 1:n, k in 1:(i - 1)
        k in rows[i] && union!(rows[i], (j for j in rows[k] if j > k))
    end
    l_ptr, l_col, u_ptr, u_col = [1], Int[], [1], Int[]
    for i in 1:n
        append!(l_col, sort!([j for j in rows[i] if j < i]))
        append!(u_col, sort!([j for j in rows[i] if j > i]))
        push!(l_ptr, length(l_col) + 1)
        push!(u_ptr, length(u_col) + 1)
    end
    entry = Dict((i, i) => i for i in 1:n)
    for i in 1:n
        for p in l_ptr[i]:(l_ptr[i + 1] - 1)
            entry[(i, l_col[p])] = n + p
        end
        for p in u_ptr[i]:(u_ptr[i + 1] - 1)
            entry[(i, u_col[p])] = n + length(l_col) + p
        end
    end
    op_ptr, source, target = [1], Int[], Int[]
    for i in 1:n, p in l_ptr[i]:(l_ptr[i + 1] - 1)
        k = l_col[p]
        for q in u_ptr[k]:(u_ptr[k + 1] - 1)
            push!(source, n + length(l_col) + q)
            push!(target, entry[(i, u_col[q])])
        end
        push!(op_ptr, length(source) + 1)
    end
    position = Dict((order[i], order[j]) => e for ((i, j), e) in entry)
    EliminationPlan(n, order, place, l_ptr, l_col, u_ptr, u_col, op_ptr, source, target, position)
end

const PLANS = Dict{Tuple{Int,Vector{Tuple{Int,Int}}},EliminationPlan}()
const PLANS_LOCK = ReentrantLock()

"""The plan of a pattern; patterns seen before are remembered."""
function plan_elimination(n::Int, pattern)
    key = (n, sort!(unique(Tuple{Int,Int}[(r, c) for (r, c) in pattern])))
    lock(PLANS_LOCK) do
        length(PLANS) > 64 && empty!(PLANS)
        get!(() -> EliminationPlan(n, key[2]), PLANS, key)
    end
end
