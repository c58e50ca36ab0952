variable "hosted_zone_name" {
  description = "Name of the public hosted zone, which exists already."
  type        = string
}

variable "hosted_zone_id" {
  description = "Id of that zone, where its name is not enough; null to find it by its name."
  type        = string
  default     = null
}

variable "aliases" {
  description = "Names in the zone that stand for an AWS resource."
  type = map(object({
    name           = string
    type           = optional(string, "A")
    target         = string
    target_zone_id = string
  }))

  validation {
    condition     = alltrue([for alias in var.aliases : contains(["A", "AAAA"], alias.type)])
    error_message = "An alias is of type A or AAAA."
  }
}
