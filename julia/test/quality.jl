if Base.find_package("Aqua") === nothing
    @info "Aqua is not installed; its checks are skipped"
else
    using Aqua, Pkg
    # Aqua looks for tasks that outlive loading in a Julia process that it sets up itself, for which Pkg needs a registry
    registered = !isempty(Pkg.Registry.reachable_registries())
    registered || @info "no registry is installed: Aqua's check of persistent tasks is skipped"
    Aqua.test_all(PBPKHybrid; persistent_tasks = registered)
end
@test isempty(Docs.undocumented_names(PBPKHybrid)) skip = VERSION < v"1.11"
