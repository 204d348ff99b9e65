# Several subjects in one vector: arithmetic on `Lanes{L,T}` is one LLVM vector instruction `<L x T>`, so that nothing
# has to be proved about loops or aliasing for the code to be SIMD. `contract` lets a*b+c become one fused instruction;
# no flag changes what happens to NaN or infinity.

"""Lanes per pack: subjects that share one step size."""
const LANES = 8

"""
    Lanes{L,T}

One number of each of `L` subjects. Arrays that hold lanes are plain vectors in which lane `l` of row `i` is element
`(i - 1) * L + l`, that is, an `L x rows` matrix; read and written through [`Rows`](@ref).
"""
struct Lanes{L,T}
    v::NTuple{L,VecElement{T}}
    Lanes{L,T}(v::NTuple{L,VecElement{T}}) where {L,T} = new{L,T}(v)
end

llvm_name(::Type{Float64}) = "double"
llvm_name(::Type{Float32}) = "float"

for (op, instruction) in ((:+, "fadd"), (:-, "fsub"), (:*, "fmul"), (:/, "fdiv"))
    @eval @inline @generated function Base.$op(a::Lanes{L,T}, b::Lanes{L,T}) where {L,T}
        kind = "<$L x $(llvm_name(T))>"
        code = "%3 = $($instruction) contract $kind %0, %1\nret $kind %3"
        vector = NTuple{L,VecElement{T}}
        :(Lanes{L,T}(Base.llvmcall($code, $vector, Tuple{$vector,$vector}, a.v, b.v)))
    end
    @eval @inline Base.$op(a::Lanes{L,T}, b::Real) where {L,T} = $op(a, splat(Lanes{L,T}, b))
    @eval @inline Base.$op(a::Real, b::Lanes{L,T}) where {L,T} = $op(splat(Lanes{L,T}, a), b)
end

@inline @generated function Base.:-(a::Lanes{L,T}) where {L,T}
    kind = "<$L x $(llvm_name(T))>"
    vector = NTuple{L,VecElement{T}}
    :(Lanes{L,T}(Base.llvmcall($("%2 = fneg $kind %0\nret $kind %2"), $vector, Tuple{$vector}, a.v)))
end

# sums that are never fused with a product beside them
for (name, instruction) in ((:plain_sum, "fadd"), (:plain_difference, "fsub"))
    @eval @inline @generated function $name(a::Lanes{L,T}, b::Lanes{L,T}) where {L,T}
        kind = "<$L x $(llvm_name(T))>"
        vector = NTuple{L,VecElement{T}}
        :(Lanes{L,T}(Base.llvmcall($("%3 = $($instruction) $kind %0, %1\nret $kind %3"), $vector, Tuple{$vector,$vector}, a.v, b.v)))
    end
end

"""The same number in every lane."""
@inline splat(::Type{Lanes{L,T}}, x::Real) where {L,T} = Lanes{L,T}(ntuple(_ -> VecElement(T(x)), Val(L)))

@inline Base.zero(::Type{Lanes{L,T}}) where {L,T} = splat(Lanes{L,T}, 0)
@inline Base.one(::Type{Lanes{L,T}}) where {L,T} = splat(Lanes{L,T}, 1)
@inline Base.zero(a::Lanes) = zero(typeof(a))
@inline Base.one(a::Lanes) = one(typeof(a))
@inline Base.getindex(a::Lanes, l::Integer) = a.v[l].value

"""
    Rows{L,T}(array)

An array of lanes by its address: `rows[i]` and `rows[i] = x` are one vector instruction each. The address is taken once, which a
loop over an `Array` that also writes would not do. No bounds check; the caller keeps the array alive (`GC.@preserve`).
"""
struct Rows{L,T}
    p::Ptr{Lanes{L,T}}
end
@inline Rows{L}(a::Vector{T}) where {L,T} = Rows{L,T}(Ptr{Lanes{L,T}}(pointer(a)))
@inline Base.getindex(r::Rows, i::Int) = unsafe_load(r.p, i)
@inline Base.setindex!(r::Rows{L,T}, x::Lanes{L,T}, i::Int) where {L,T} = (unsafe_store!(r.p, x, i); nothing)

"""Integers by their address, under the same terms."""
struct Indices
    p::Ptr{Int}
end
@inline Indices(a::Vector{Int}) = Indices(pointer(a))
@inline Base.getindex(r::Indices, i::Int) = unsafe_load(r.p, i)
