"""All the SQL there is, by what it is for, with the structs that its rows become."""
