"""The operation kinds that come with the program, one record and one file each; `hwmodels.network.operation_kind`
says what a record answers. Here as anywhere a new kind is a subclass of `OperationKind`, an instance registered.
"""
