# The closed rate laws, each written once. `y` holds the reactants and `p` the parameters of one reaction: tuples, views, or rows of lanes read
# by address, of numbers, dual numbers or lanes. Every path (plain, packs, code written for a model, one subject per GPU thread) calls these.

"""Rate laws: name => (code, fixed reactants, fixed parameters, parameters per inhibitor). The same list as in Python."""
const RATE_LAWS = Dict(
    "michaelis_menten" => (0, 1, 2, 1),
    "mass_action" => (1, 2, 1, 0),
    "hill" => (2, 1, 3, 0),
    "hill_product" => (3, 2, 3, 0),
    "enzymatic" => (4, 2, 2, 2),
    "expression" => (5, 0, 0, 0),  # a list of operations: see expressions.jl
)
const LAW_NAMES = Dict(code => name for (name, (code, _, _, _)) in RATE_LAWS)

"""Number of parameters of a law (by its name) with that many reactants."""
function parameter_count(law::AbstractString, reactants::Integer)
    _, fixed, parameters, per_inhibitor = RATE_LAWS[law]
    parameters + per_inhibitor * (reactants - fixed)
end

"""Positions `first` to the last reactant: of a tuple as a tuple, so that the sum over them is written out."""
@inline from(first, y::Tuple) = ntuple(j -> j + first - 1, Val(length(y) - first + 1))
@inline from(first, y) = first:length(y)

"""`1 + sum_k i_k / Ki_k` of a Michaelis-Menten reaction."""
@inline inhibition(y, p) = foldl((sum, j) -> sum + y[j] / p[1 + j], from(2, y); init = one(y[1]))

"""One of the two sums of an enzymatic reaction: `1 + sum_j c_j i_j` for `shift` -3, `1 + sum_j u_j i_j` for -2."""
@inline occupied(y, p, shift) = foldl((sum, j) -> sum + p[2j + shift] * y[j], from(3, y); init = one(y[1]))

"""v of a law by its code."""
@inline function law_rate(law, y, p)
    a = y[1]
    law == 1 && return p[1] * a * y[2]
    law == 2 && return p[1] * hill_share(a, p[2], p[3])
    law == 3 && return p[1] * hill_share(a, p[2], p[3]) * y[2]
    law == 4 && return p[1] * (one(a) + y[2]) * a / (occupied(y, p, -3) + p[2] * a * occupied(y, p, -2))
    p[1] * a / (p[2] * inhibition(y, p) + a)
end

"""d v / d (reactant j) of a law by its code."""
@inline function law_slope(law, y, p, j)
    a = y[1]
    law == 1 && return p[1] * (j == 1 ? y[2] : a)
    if law == 2 || law == 3
        j == 2 && return p[1] * hill_share(a, p[2], p[3])
        slope = p[1] * hill_slope(a, p[2], p[3])
        return law == 3 ? slope * y[2] : slope
    end
    if law == 4
        free, sa = occupied(y, p, -3), p[2] * a
        over = one(a) / (free + sa * occupied(y, p, -2))
        j == 2 && return p[1] * a * over
        active = p[1] * (one(a) + y[2]) * over * over
        return j == 1 ? active * free : zero(a) - active * a * (p[2j - 3] + sa * p[2j - 2])
    end
    free = p[2] * inhibition(y, p)
    denominator = free + a
    common = p[1] / (denominator * denominator)
    j == 1 ? common * free : zero(a) - common * a * p[2] / p[1 + j]
end
