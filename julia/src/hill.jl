# Hill laws phi(a) = a^g/(K^g + a^g). Under `HILL_FLOOR` K phi is a straight line to 0, so that its slope is finite there.

"""Fraction of the half constant under which a Hill law is a straight line; the same as in Python."""
const HILL_FLOOR = 1e-9

@inline function hill_share(a, half, power)
    x = a / half
    x > 1 && return inv(one(x) + x^(-power))
    x > HILL_FLOOR && (p = x^power; return p / (one(p) + p))
    p = oftype(x, HILL_FLOOR)^power
    p / (one(p) + p) * (x / oftype(x, HILL_FLOOR))
end

"""d phi/da."""
@inline function hill_slope(a, half, power)
    floor = oftype(a, HILL_FLOOR)
    a / half > floor || return hill_share(floor * half, half, power) / (floor * half)
    s = hill_share(a, half, power)
    power / a * s * (one(s) - s)
end

# lane by lane: powers have no vector instruction; not inlined, so that the other laws compile as if these were not here
for f in (:hill_share, :hill_slope)
    @eval @noinline $f(a::Lanes{L,T}, half::Lanes{L,T}, power::Lanes{L,T}) where {L,T} =
        Lanes{L,T}(ntuple(l -> VecElement{T}($f(a[l], half[l], power[l])), Val(L)))
end
