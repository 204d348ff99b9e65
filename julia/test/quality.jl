if Base.find_package("Aqua") === nothing
    @info "Aqua is not installed; its checks are skipped"
else
    using Aqua
    # persistent tasks and stale dependencies are checked by starting other Julia processes with a resolved registry
    Aqua.test_all(PBPKHybrid; persistent_tasks = false, stale_deps = false, deps_compat = false)
end
@test isempty(Docs.undocumented_names(PBPKHybrid)) skip = VERSION < v"1.11"
