variable "name" {
  description = "Prefix of names: the environment's, such as avatar-ops-prod."
  type        = string
  default     = "avatar-ops-prod"
}

variable "vpc_id" {
  description = "Id of the database's network, with DNS support and DNS host names on."
  type        = string
}

variable "subnet_ids" {
  description = "Ids of private subnets for the function and SSM's endpoint, in two availability zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Give subnets in two availability zones: with one, profiles are away when it is."
  }
}

variable "route_table_ids" {
  description = "Ids of those subnets' route tables, which get the route to S3."
  type        = list(string)
}

variable "database_security_group_id" {
  description = "Id of the database's security group, which is opened to the function."
  type        = string
}

variable "database_port" {
  description = "Port of Postgres."
  type        = number
  default     = 5432
}
