module countersign.example/cloudstack-go

go 1.19
