# Several subjects in one vector: arithmetic on `Lanes{L,T}` is one LLVM vector instruction `<L x T>`, so that nothing
# has to be proved about loops or aliasing for the code to be SIMD. `contract` lets a*b+c become one fused instruction;
# no flag changes what happens to NaN or infinity.

"""
    Lanes{L,T}

One number of each of `L` subjects. Arrays that hold lanes are plain vectors in which lane `l` of row `i` is element
`(i - 1) * L + l`, that is, an `L x rows` matrix; read and written with [`load`](@ref) and [`store`](@ref).
"""
struct Lanes{L,T}
    v::NTuple{L,VecElement{T}}
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

"""The same number in every lane."""
@inline splat(::Type{Lanes{L,T}}, x::Real) where {L,T} = Lanes{L,T}(ntuple(_ -> VecElement(T(x)), Val(L)))

Base.zero(::Type{Lanes{L,T}}) where {L,T} = splat(Lanes{L,T}, 0)
@inline Base.getindex(a::Lanes, l::Integer) = a.v[l].value

"""Row `i` of an array of lanes. No bounds check; the caller keeps the array alive."""
@inline load(::Type{Lanes{L,T}}, a::Vector{T}, i::Integer) where {L,T} =
    unsafe_load(Ptr{Lanes{L,T}}(pointer(a) + (Int(i) - 1) * L * sizeof(T)))

"""Write row `i` of an array of lanes. No bounds check; the caller keeps the array alive."""
@inline store(a::Vector{T}, i::Integer, x::Lanes{L,T}) where {L,T} =
    (unsafe_store!(Ptr{Lanes{L,T}}(pointer(a) + (Int(i) - 1) * L * sizeof(T)), x); nothing)
