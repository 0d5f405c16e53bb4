module weftline/benches

go 1.25
