module flotilla/interop/report

go 1.25
