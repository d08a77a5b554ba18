# Lets the runs of a project that was cut go on: vivado -source resume.tcl -tclargs PROJECT JOBS
#
# A run that has not finished is begun again; implementation, at the step behind its last
# checkpoint. launch_runs refuses a run that has failed until it is reset.
lassign $argv project jobs
open_project $project.xpr

set synthesised 1
foreach run [get_runs] {
    if {$run ne "impl_1" && [get_property PROGRESS [get_runs $run]] ne "100%"} {
        reset_runs $run
        set synthesised 0
    }
}

if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
    set next ""
    foreach {checkpoint step} {
        opt place_design placed phys_opt_design physopt route_design routed write_bitstream
    } {
        if {[llength [glob -nocomplain $project.runs/impl_1/*_$checkpoint.dcp]]} { set next $step }
    }
    if {$synthesised && $next ne ""} {
        reset_runs -from_step $next impl_1
    } else {
        reset_runs impl_1
    }
    launch_runs -jobs $jobs -to_step write_bitstream impl_1
    wait_on_run [get_runs impl_1]
}
close_project
