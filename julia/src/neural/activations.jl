# Activations of the hidden layers with their slopes, in arithmetic that the compiler turns into vector instructions: no
# branches, no tables. Relative errors are a few units in the last place over the whole line.

"""Activations by name; a network's hidden layers use one of them, its last layer is linear."""
const ACTIVATIONS = ("tanh", "softplus", "silu")

"""`exp(x) - 1` for -700 < x < 700: `x = n log 2 + r`, a polynomial in `r`, and `2^n` by its bits."""
@inline function expm1_simd(x::Float64)
    shifted = muladd(x, 1.4426950408889634, 6.755399441055744e15)  # adding 1.5 x 2^52 rounds to an integer
    n = shifted - 6.755399441055744e15
    r = muladd(n, -1.9082149292705877e-10, muladd(n, -0.6931471803691238, x))
    p = evalpoly(r, (
        1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800, 1 / 479001600,
        1 / 6227020800,
    )) * r
    power = reinterpret(Float64, (reinterpret(Int64, shifted) << 52) + 0x3ff0000000000000)
    muladd(power, p, power - 1.0)
end

"""`log(1 + z)` for 0 <= z <= 1: twice the series of artanh in `z / (2 + z) <= 1/3`."""
@inline function log1p_simd(z::Float64)
    s = z / (2.0 + z)
    2.0 * s * evalpoly(s * s, ntuple(k -> 1 / (2k - 1), Val(17)))
end

# value and slope
@inline function activation(::Val{:tanh}, x::Float64)
    e = expm1_simd(clamp(2.0 * x, -50.0, 50.0))
    h = e / (e + 2.0)
    h, muladd(-h, h, 1.0)
end
@inline function activation(::Val{:softplus}, x::Float64)
    z = 1.0 + expm1_simd(max(-abs(x), -700.0))
    ifelse(x > 0.0, x, 0.0) + log1p_simd(z), ifelse(x > 0.0, 1.0, z) / (1.0 + z)
end
@inline function activation(::Val{:silu}, x::Float64)
    z = 1.0 + expm1_simd(max(-abs(x), -700.0))
    sigmoid = ifelse(x > 0.0, 1.0, z) / (1.0 + z)
    x * sigmoid, sigmoid * muladd(x, 1.0 - sigmoid, 1.0)
end

# the same for any number type: the plain definition of a field, which automatic differentiation can follow
plain_activation(name) = name == "tanh" ? tanh : name == "softplus" ? plain_softplus : plain_silu
plain_softplus(x) = max(x, zero(x)) + log1p(exp(-abs(x)))
plain_silu(x) = x / (1 + exp(-x))

"""`hidden .= activation(hidden .+ bias)`, and its slope."""
function activate!(hidden::Matrix{Float64}, slope::Matrix{Float64}, bias, kind::K) where {K<:Val}
    rows = size(hidden, 1)
    @inbounds for j in axes(hidden, 2)
        @simd ivdep for i in 1:rows
            h, d = activation(kind, hidden[i, j] + bias[i])
            hidden[i, j] = h
            slope[i, j] = d
        end
    end
end

function activate!(hidden, slope, bias, name::String)
    name == "tanh" && return activate!(hidden, slope, bias, Val(:tanh))
    name == "softplus" && return activate!(hidden, slope, bias, Val(:softplus))
    activate!(hidden, slope, bias, Val(:silu))
end
