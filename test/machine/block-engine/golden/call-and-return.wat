locals i64 i64 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 i64 i64 i64 i64 i32 i32 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 i32
i32.const 0
i64.load offset=40
local.set 2
i32.const 0
i64.load offset=32
local.set 3
i32.const 0
i64.load offset=136
local.set 4
i32.const 0
i64.load offset=144
local.set 5
i32.const 0
i64.load offset=152
local.set 6
i32.const 0
i64.load32_u offset=640
i32.wrap_i64
local.set 7
local.get 0
i32.load offset=56
local.set 8
block
  loop
    i32.const 0
    local.set 10
    local.get 1
    i32.const 3
    i32.le_s
    br_if 1
    block
      block
        local.get 8
        br_table 0 1 0
      end
      local.get 2
      local.set 15
      local.get 3
      local.set 16
      local.get 16
      i64.const -8
      i64.add
      local.set 17
      local.get 17
      i64.const 8
      i64.shr_u
      i32.wrap_i64
      i32.const 16368
      i32.and
      local.get 7
      i32.add
      local.tee 18
      i64.load offset=81920
      local.get 17
      i64.const 7
      i64.add
      i64.const -4096
      i64.and
      i64.eq
      if
        local.get 17
        i32.wrap_i64
        local.get 18
        i32.load offset=81928
        i32.add
        local.set 19
      else
        i32.const 2097152
        local.set 0
        i32.const 0
        local.set 10
        br 3
      end
      local.get 19
      local.get 15
      i64.store
      local.get 17
      local.set 3
      local.get 3
      local.set 20
      local.get 20
      local.set 2
      local.get 3
      local.set 21
      local.get 21
      i64.const -8
      i64.add
      local.set 22
      local.get 22
      i64.const 8
      i64.shr_u
      i32.wrap_i64
      i32.const 16368
      i32.and
      local.get 7
      i32.add
      local.tee 23
      i64.load offset=81920
      local.get 22
      i64.const 7
      i64.add
      i64.const -4096
      i64.and
      i64.eq
      if
        local.get 22
        i32.wrap_i64
        local.get 23
        i32.load offset=81928
        i32.add
        local.set 24
      else
        local.get 1
        i32.const 2
        i32.sub
        local.set 1
        i32.const 2097280
        local.set 0
        i32.const 0
        local.set 10
        br 3
      end
      local.get 24
      i64.const 4105
      i64.store
      local.get 22
      local.set 3
      local.get 1
      i32.const 3
      i32.sub
      local.set 1
      i64.const 4106
      local.set 9
      i32.const 2
      local.set 10
      br 2
    end
    local.get 3
    local.set 25
    local.get 25
    i64.const 8
    i64.shr_u
    i32.wrap_i64
    i32.const 16368
    i32.and
    local.get 7
    i32.add
    local.tee 26
    i64.load offset=65536
    local.get 25
    i64.const 7
    i64.add
    i64.const -4096
    i64.and
    i64.eq
    if
      local.get 25
      i32.wrap_i64
      local.get 26
      i32.load offset=65544
      i32.add
      local.set 27
    else
      i32.const 2097344
      local.set 0
      i32.const 0
      local.set 10
      br 2
    end
    local.get 27
    i64.load
    local.set 28
    local.get 28
    local.get 28
    i64.const 16
    i64.shl
    i64.const 16
    i64.shr_s
    i64.ne
    if
      i32.const 2097344
      local.set 0
      i32.const 0
      local.set 10
      br 2
    end
    local.get 3
    local.set 29
    local.get 29
    i64.const 8
    i64.add
    local.set 3
    local.get 28
    local.set 9
    local.get 1
    i32.const 1
    i32.sub
    local.set 1
    i32.const 2
    local.set 10
    local.get 9
    i32.wrap_i64
    i32.const 16383
    i32.and
    i32.const 4
    i32.shl
    local.tee 30
    i64.load offset=1048576
    local.get 9
    i64.ne
    br_if 1
    local.get 30
    i32.load offset=1048588
    i32.const 0
    i32.load offset=680
    i32.ne
    br_if 1
    i32.const 1
    local.set 10
    local.get 30
    i32.load offset=1048584
    local.tee 0
    i32.load
    i32.const 16
    i32.ne
    br_if 1
    local.get 0
    i32.load offset=56
    local.set 8
    br 0
  end
end
i32.const 0
local.get 3
i64.store offset=32
i32.const 0
local.get 2
i64.store offset=40
i32.const 0
local.get 4
i64.store offset=136
i32.const 0
local.get 5
i64.store offset=144
i32.const 0
local.get 6
i64.store offset=152
block
  block
    block
      local.get 10
      br_table 0 1 2
    end
    local.get 0
    local.get 1
    return_call 6
  end
  local.get 0
  local.get 1
  local.get 0
  i32.load
  return_call_indirect 3 0
end
local.get 9
local.get 1
return_call 5
end
