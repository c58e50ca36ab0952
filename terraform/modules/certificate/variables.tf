variable "domain_name" {
  description = "Name that the certificate is for."
  type        = string
}

variable "zone_id" {
  description = "Hosted zone in which the name is proven to be ours."
  type        = string
}
