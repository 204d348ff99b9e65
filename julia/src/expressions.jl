# Rate laws of any form: a list of operations, each on the results of earlier ones. Small runs walk the list on rows of lanes; for more
# the list is written out as Julia and compiled. Every operation is one function here, and no product is fused with a sum, so that both
# ways give the same numbers to the last bit.

"""Operations of an [`ExpressionProgram`](@ref), by number; the same list as in Python. A comparison is 1 where it holds, else 0."""
const OPERATIONS = (
    :number, :state, :parameter, :table, :powi, :add, :mul, :div, :pow, :min, :max, :and, :or, :not, :if, :lt, :le, :eq, :ne, :abs, :floor,
    :ceil, :sqrt, :exp, :log, :sin, :cos, :tan, :asin, :acos, :atan, :sinh, :cosh, :tanh,
)
operation(name) = something(findfirst(==(name), OPERATIONS))

"""Points (x, y) with straight lines between them, constant beyond the ends; `slope`: its derivative, a step function."""
struct ExpressionTable
    x::Vector{Float64}
    y::Vector{Float64}
    slope::Bool
end

"""
    ExpressionProgram

The rates of all reactions of law `"expression"`, and their slopes, as one list of operations; what they share is in it once.

- `op`: numbers in `OPERATIONS`; the arguments of operation `i` are `arg[arg_ptr[i]:arg_ptr[i+1]-1]`, all before `i`
- `value`: of a `:number`
- `index`: of a `:state`, of a `:parameter` (all reactions' one after the other), of a `:table`, or a whole exponent (`:powi`)
- `rate`: operation that gives the rate of each such reaction
- `slope`: operation that gives d rate / d reactant, reactant by reactant; rates need the first `rates_end` operations only
"""
struct ExpressionProgram
    op::Vector{Int}
    arg_ptr::Vector{Int}
    arg::Vector{Int}
    value::Vector{Float64}
    index::Vector{Int}
    tables::Vector{ExpressionTable}
    rate::Vector{Int}
    slope::Vector{Int}
    rates_end::Int
end
ExpressionProgram() = ExpressionProgram(Int[], [1], Int[], Float64[], Int[], ExpressionTable[], Int[], Int[], 0)

function ExpressionProgram(op, args_per, arg, value, index, tables, rate, slope)
    ExpressionProgram(op, cumsum([1; args_per]), arg, value, index, tables, rate, slope, maximum(rate; init = 0))
end

Base.isempty(p::ExpressionProgram) = isempty(p.op)
Base.length(p::ExpressionProgram) = length(p.op)
shape_of(p::ExpressionProgram) = (p.op, p.arg_ptr, p.arg, p.value, p.index, [(t.x, t.y, t.slope) for t in p.tables], p.rate, p.slope)

# one argument, two, three; the others have none or any number
const ONE = (:powi, :table, :not, :abs, :floor, :ceil, :sqrt, :exp, :log, :sin, :cos, :tan, :asin, :acos, :atan, :sinh, :cosh, :tanh)
const TWO = (:div, :pow, :lt, :le, :eq, :ne)
function wanted_arguments(name)
    name in (:number, :state, :parameter) && return 0:0
    name in ONE ? (1:1) : name in TWO ? (2:2) : name == :if ? (3:3) : (1:typemax(Int))
end

"""Refuse a list that can't be walked: the walk itself checks nothing."""
function check_expressions(p::ExpressionProgram, n_states, n_parameters, reactants, rates = length(reactants))
    fail(text) = throw(ArgumentError("expressions: $text"))
    count = length(p)
    length(p.value) == length(p.index) == count && length(p.arg_ptr) == count + 1 && p.arg_ptr[end] == length(p.arg) + 1 ||
        fail("lists of different lengths")
    for i in 1:count
        1 <= p.op[i] <= length(OPERATIONS) || fail("operation $i is number $(p.op[i]), expected 1 to $(length(OPERATIONS))")
        name, args = OPERATIONS[p.op[i]], view(p.arg, p.arg_ptr[i]:(p.arg_ptr[i + 1] - 1))
        length(args) in wanted_arguments(name) || fail("operation $i ($name) has $(length(args)) arguments")
        all(a -> 1 <= a < i, args) || fail("operation $i ($name) needs one that does not come before it")
        limit = name == :state ? n_states : name == :parameter ? n_parameters : name == :table ? length(p.tables) : nothing
        limit === nothing || 1 <= p.index[i] <= limit || fail("operation $i is $name $(p.index[i]), expected 1 to $limit")
        name == :powi && (p.index[i] == 0 || abs(p.index[i]) > 8) && fail("operation $i is a power of $(p.index[i]), expected 1 to 8 or -1 to -8")
    end
    for t in p.tables
        length(t.x) == length(t.y) > 0 && all(isfinite, t.x) && all(isfinite, t.y) && issorted(t.x; lt = <=) || fail("a table's points do not ascend")
    end
    length(p.rate) == rates || fail("$(length(p.rate)) rates, expected $rates: one for each reaction of law expression")
    length(p.slope) == sum(reactants; init = 0) || fail("$(length(p.slope)) slopes for $(sum(reactants; init = 0)) reactants")
    all(i -> 1 <= i <= count, p.rate) && all(i -> 1 <= i <= count, p.slope) || fail("a rate or slope is no operation")
    nothing
end

# ---- operations on numbers (plain, dual) and on lanes; where numpy gives NaN so do these ----

plain_sum(a::Real, b::Real) = a + b
plain_difference(a::Real, b::Real) = a - b
plain_product(a::Real, b::Real) = a * b
plain_quotient(a::Real, b::Real) = a / b
less(a::Real, b::Real) = a < b ? one(a) : zero(a)
at_most(a::Real, b::Real) = a <= b ? one(a) : zero(a)
same(a::Real, b::Real) = a == b ? one(a) : zero(a)
different(a::Real, b::Real) = a == b ? zero(a) : one(a)
choose(condition::Real, a::Real, b::Real) = condition != 0 ? a : b

for (name, instruction) in ((:plain_product, "fmul"), (:plain_quotient, "fdiv"))
    @eval @inline @generated function $name(a::Lanes{L,T}, b::Lanes{L,T}) where {L,T}
        kind, vector = "<$L x $(llvm_name(T))>", NTuple{L,VecElement{T}}
        :(Lanes{L,T}(Base.llvmcall($("%3 = $($instruction) $kind %0, %1\nret $kind %3"), $vector, Tuple{$vector,$vector}, a.v, b.v)))
    end
end

for (name, test) in ((:less, "olt"), (:at_most, "ole"), (:same, "oeq"), (:different, "une"))
    @eval @inline @generated function $name(a::Lanes{L,T}, b::Lanes{L,T}) where {L,T}
        kind, vector = "<$L x $(llvm_name(T))>", NTuple{L,VecElement{T}}
        ones = "<" * join(("$(llvm_name(T)) 1.0" for _ in 1:L), ", ") * ">"
        code = "%3 = fcmp $($test) $kind %0, %1\n%4 = select <$L x i1> %3, $kind $ones, $kind zeroinitializer\nret $kind %4"
        :(Lanes{L,T}(Base.llvmcall($code, $vector, Tuple{$vector,$vector}, a.v, b.v)))
    end
end

@inline @generated function choose(condition::Lanes{L,T}, a::Lanes{L,T}, b::Lanes{L,T}) where {L,T}
    kind, vector = "<$L x $(llvm_name(T))>", NTuple{L,VecElement{T}}
    code = "%4 = fcmp une $kind %0, zeroinitializer\n%5 = select <$L x i1> %4, $kind %1, $kind %2\nret $kind %5"
    :(Lanes{L,T}(Base.llvmcall($code, $vector, Tuple{$vector,$vector,$vector}, condition.v, a.v, b.v)))
end

for (name, intrinsic) in ((:abs, "fabs"), (:sqrt, "sqrt"), (:floor, "floor"), (:ceil, "ceil"))
    quiet = Symbol(:quiet_, name)
    @eval @inline @generated function $quiet(a::Lanes{L,T}) where {L,T}
        kind, vector = "<$L x $(llvm_name(T))>", NTuple{L,VecElement{T}}
        full = "@llvm.$($intrinsic).v$(L)f$(8 * sizeof(T))"
        code = """
        declare $kind $full($kind)
        define $kind @entry($kind %0) alwaysinline {
            %2 = call $kind $full($kind %0)
            ret $kind %2
        }"""
        :(Lanes{L,T}(Base.llvmcall(($code, "entry"), $vector, Tuple{$vector}, a.v)))
    end
end
quiet_abs(x::Real) = abs(x)
quiet_sqrt(x::Real) = x < 0 ? oftype(x, NaN) : sqrt(x)
quiet_floor(x::Real) = floor(x)
quiet_ceil(x::Real) = ceil(x)

quiet_exp(x::Real) = exp(x)
quiet_log(x::Real) = x < 0 ? oftype(x, NaN) : log(x)
quiet_atan(x::Real) = atan(x)
quiet_sinh(x::Real) = sinh(x)
quiet_cosh(x::Real) = cosh(x)
quiet_tanh(x::Real) = tanh(x)
for f in (:sin, :cos, :tan)
    @eval $(Symbol(:quiet_, f))(x::Real) = isinf(x) ? oftype(x, NaN) : $f(x)
end
for f in (:asin, :acos)
    @eval $(Symbol(:quiet_, f))(x::Real) = abs(x) <= 1 ? $f(x) : oftype(x, NaN)
end
function quiet_pow(x::Real, y::Real)
    x < 0 || return x^y
    isfinite(y) || return abs(x)^y
    isinteger(y) ? x^y : oftype(x, NaN)
end

# lane by lane, and not inlined: a model may call them a thousand times
for f in (:exp, :log, :sin, :cos, :tan, :asin, :acos, :atan, :sinh, :cosh, :tanh)
    quiet = Symbol(:quiet_, f)
    @eval @noinline $quiet(a::Lanes{L,T}) where {L,T} = Lanes{L,T}(ntuple(l -> VecElement{T}($quiet(a[l])), Val(L)))
end
@noinline quiet_pow(a::Lanes{L,T}, b::Lanes{L,T}) where {L,T} = Lanes{L,T}(ntuple(l -> VecElement{T}(quiet_pow(a[l], b[l])), Val(L)))

"""A number as whatever `like` is."""
@inline number_like(::Real, x) = x
@inline number_like(::Lanes{L,T}, x) where {L,T} = splat(Lanes{L,T}, x)

@inline lesser(a, b) = choose(less(b, a), b, a)
@inline greater(a, b) = choose(less(a, b), b, a)
@inline both(a, b) = choose(a, choose(b, one(a), zero(a)), zero(a))
@inline either(a, b) = choose(a, one(a), choose(b, one(a), zero(a)))
@inline negate(a) = choose(a, zero(a), one(a))

@inline function whole_power(a, exponent)
    out = a
    for _ in 2:abs(exponent)
        out = plain_product(out, a)
    end
    exponent < 0 ? plain_quotient(one(a), out) : out
end

"""One piece of a table's value at `x`: what it adds; see `table_value`."""
@inline function table_piece(x, x0, x1, rise)
    inside = lesser(greater(x, number_like(x, x0)), number_like(x, x1))
    plain_product(plain_difference(inside, number_like(x, x0)), number_like(x, rise))
end
"""The slope of a table at `x`, if that lies in a piece; else what was found before."""
@inline table_step(x, x0, x1, rise, before) =
    choose(both(at_most(number_like(x, x0), x), less(x, number_like(x, x1))), number_like(x, rise), before)

"""(start, end, slope) of the pieces that are not level."""
function pieces(t::ExpressionTable)
    uneven = (i for i in 1:(length(t.x) - 1) if t.y[i + 1] != t.y[i])
    ((t.x[i], t.x[i + 1], (t.y[i + 1] - t.y[i]) / (t.x[i + 1] - t.x[i])) for i in uneven)
end

"""Straight lines between points as the sum over the pieces of what each adds: no branch, no search."""
function table_value(t::ExpressionTable, x)
    out = number_like(x, t.slope ? 0.0 : t.y[1])
    for (x0, x1, rise) in pieces(t)
        out = t.slope ? table_step(x, x0, x1, rise, out) : plain_sum(out, table_piece(x, x0, x1, rise))
    end
    out
end

const FUNCTIONS_OF_ONE = Dict(:not => :negate, (f => Symbol(:quiet_, f) for f in ONE if f ∉ (:not, :powi, :table))...)
const FUNCTIONS_OF_TWO = Dict(
    :add => :plain_sum, :mul => :plain_product, :div => :plain_quotient, :pow => :quiet_pow, :min => :lesser, :max => :greater, :and => :both,
    :or => :either, :lt => :less, :le => :at_most, :eq => :same, :ne => :different,
)

# `operate_one(op, a)` and `operate_two(op, a, b)`: a branch per operation, written from the dictionaries above
for (name, functions, arguments) in ((:operate_one, FUNCTIONS_OF_ONE, (:a,)), (:operate_two, FUNCTIONS_OF_TWO, (:a, :b)))
    branches = [:(op == $(operation(key)) && return $f($(arguments...))) for (key, f) in sort!(collect(functions); by = first)]
    @eval @inline function $name(op, $(arguments...))
        $(branches...)
        a
    end
end

"""
Walk the first `count` operations: `nodes[i]` becomes the result of operation `i`. `y` are states by `place` (their order there), `p`
parameters; all four are indexed from 1 and hold numbers or lanes.
"""
function walk!(nodes, program::ExpressionProgram, y, place, p, like, count)
    op, ptr, arg = program.op, program.arg_ptr, program.arg
    @inbounds for i in 1:count
        first, last = ptr[i], ptr[i + 1] - 1
        kind = op[i]
        if kind == 1
            nodes[i] = number_like(like, program.value[i])
        elseif kind == 2
            nodes[i] = y[place[program.index[i]]]
        elseif kind == 3
            nodes[i] = p[program.index[i]]
        elseif kind == 4
            nodes[i] = table_value(program.tables[program.index[i]], nodes[arg[first]])
        elseif kind == 5
            nodes[i] = whole_power(nodes[arg[first]], program.index[i])
        elseif kind == IF
            nodes[i] = choose(nodes[arg[first]], nodes[arg[first + 1]], nodes[arg[last]])
        elseif kind > IF_ONE || kind == NOT
            nodes[i] = operate_one(kind, nodes[arg[first]])
        else
            out = nodes[arg[first]]
            first == last && (kind == AND || kind == OR) && (out = different(out, zero(out)))
            for q in (first + 1):last
                out = operate_two(kind, out, nodes[arg[q]])
            end
            nodes[i] = out
        end
    end
    nothing
end
const IF, NOT, AND, OR = operation(:if), operation(:not), operation(:and), operation(:or)
const IF_ONE = operation(:ne)  # operations after it have one argument

# ---- written out ----

node(i) = Symbol(:node, i)

"""The operation as an expression of Julia over `node1`, `node2`, ..., `y` and `p`."""
function operation_code(program::ExpressionProgram, place, i)
    name = OPERATIONS[program.op[i]]
    args = [node(a) for a in program.arg[program.arg_ptr[i]:(program.arg_ptr[i + 1] - 1)]]
    name == :number && return :(splat(Lanes{$LANES,Float64}, $(program.value[i])))
    name == :state && return :(y[$(place[program.index[i]])])
    name == :parameter && return :(p[$(program.index[i])])
    name == :table && return table_code(program.tables[program.index[i]], args[1])
    name == :powi && return :(whole_power($(args[1]), $(program.index[i])))
    name == :if && return :(choose($(args...)))
    haskey(FUNCTIONS_OF_ONE, name) && return :($(FUNCTIONS_OF_ONE[name])($(args[1])))
    length(args) == 1 && name in (:and, :or) && return :(different($(args[1]), zero($(args[1]))))
    foldl((a, b) -> :($(FUNCTIONS_OF_TWO[name])($a, $b)), args)
end

function table_code(t::ExpressionTable, x)
    out = :(splat(Lanes{$LANES,Float64}, $(t.slope ? 0.0 : t.y[1])))
    for (x0, x1, rise) in pieces(t)
        out = t.slope ? :(table_step($x, $x0, $x1, $rise, $out)) : :(plain_sum($out, table_piece($x, $x0, $x1, $rise)))
    end
    out
end

"""The operations that `wanted` ones need."""
function needed(program::ExpressionProgram, wanted)
    found = falses(length(program))
    found[wanted] .= true
    for i in length(program):-1:1
        found[i] && (found[program.arg[program.arg_ptr[i]:(program.arg_ptr[i + 1] - 1)]] .= true)
    end
    findall(found)
end

"""A function of pointers (nodes, y, p) that computes `wanted` operations and stores them in their rows."""
function nodes_code(program::ExpressionProgram, place, wanted)
    body = Any[:($(node(i)) = $(operation_code(program, place, i))) for i in needed(program, wanted)]
    append!(body, (:(nodes[$i] = $(node(i))) for i in sort!(unique(wanted))))
    straight_code((:nodes, :y, :p), (), body)
end
